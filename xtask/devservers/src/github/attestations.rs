//! Attestations: signed statements about a digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::Call;
use super::repository::Repository;
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/attestations", "attestations:write", create),
    Route::new("GET", "/attestations/{subject_digest}", "attestations:read", list),
];

/// Bundles and the statements in them, oldest first.
#[derive(Default)]
pub(super) struct Attestations {
    list: Vec<(Value, Value)>,
}

impl Attestations {
    /// Keeps a bundle: the statement in it says which digests it is about.
    pub fn add(&mut self, bundle: &Value) -> Option<()> {
        let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str()?).ok()?;
        let statement: Value = serde_json::from_slice(&payload).ok()?;
        statement["subject"].as_array()?;
        self.list.push((bundle.clone(), statement));
        Some(())
    }
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    let no_statement = || Answer::error(422, "The bundle's dsseEnvelope has no statement with a subject.");
    repository.attestations.add(&call.body["bundle"]).ok_or_else(no_statement)?;
    Ok(Answer::created(json!({"id": repository.next_id()})))
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let digest = call.parameter("subject_digest");
    let (algorithm, hash) = digest.split_once(':').ok_or_else(|| Answer::error(422, "Invalid subject digest"))?;
    let about = |statement: &Value| {
        let mut subjects = statement["subject"].as_array().into_iter().flatten();
        subjects.any(|subject| subject["digest"][algorithm] == hash)
    };
    // GitHub knows two by short names.
    let kind = |statement: &Value| match call.query("predicate_type") {
        None => true,
        Some("provenance") => {
            statement["predicateType"].as_str().is_some_and(|kind| kind.starts_with("https://slsa.dev/provenance/"))
        }
        Some("sbom") => {
            statement["predicateType"].as_str().is_some_and(|kind| kind.contains("spdx") || kind.contains("cyclonedx"))
        }
        Some(wanted) => statement["predicateType"] == wanted,
    };
    let found = repository.attestations.list.iter().rev().filter(|(_, statement)| about(statement) && kind(statement));
    let shown =
        |(bundle, _): &(Value, Value)| json!({"bundle": bundle, "repository_id": repository.id, "bundle_url": ""});
    let found: Vec<Value> = found.map(shown).collect();
    if found.is_empty() {
        return Err(Answer::not_found());
    }
    Ok(Answer::ok(json!({ "attestations": found })))
}
