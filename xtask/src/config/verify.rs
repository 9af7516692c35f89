//! The key `verify` of an environment: the proof that a deploy requires of the image that it runs.

use camino::Utf8PathBuf;

use super::check;
use super::field::{Field, Table, key};

/// An example of the key's value.
pub(super) const VERIFY: &str = "provenance";

/// Why an environment of this machine cannot have it.
pub(super) const NO_VERIFY: &str = "a release of this machine is built here, and no workflow proves its provenance";

const WORKFLOW: &str = ".github/workflows/ci.yml";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SERVER: &str = "https://github.com";

/// `provenance`: the image was built by a workflow of the repository at GitHub, from the commit that is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// `owner/name`; by default the repository of the section `github`.
    pub repository: Option<String>,
    /// The workflow's file; `.github/workflows/ci.yml` by default.
    pub workflow: String,
    /// The service that GitHub's workflows are known by; github.com's by default.
    pub issuer: String,
    /// The address of GitHub; github.com by default.
    pub server: String,
    /// A file of the project with the authorities that are believed, as Sigstore's `trusted_root.json`; by default Sigstore's public
    /// ones and github.com's.
    pub trusted_root: Option<Utf8PathBuf>,
}

/// Reads the short form, `provenance`, or the long one.
pub(super) fn verify(field: &Field<'_>) -> Option<Verify> {
    if field.is_mapping() {
        return field.table(|table| {
            table.required(
                key(
                    "provenance",
                    "{ workflow: .github/workflows/ci.yml }",
                    "Which workflow has to have built the image.",
                ),
                |field| field.table(provenance),
            )
        });
    }
    field.choice(&[("provenance", ())]).map(|()| Verify::default())
}

fn provenance(table: &mut Table<'_>) -> Option<Verify> {
    let repository = table.optional(
        key("repository", "owner/name", "The repository of the workflow.").otherwise("`repository` of `github`"),
        |field| field.text("a repository at GitHub, as owner/name", check::is_github_repository),
    );
    let workflow = table.optional(key("workflow", WORKFLOW, "The workflow's file.").otherwise(WORKFLOW), |field| {
        field.text("the file of a workflow, in .github/workflows", check::is_workflow)
    });
    let address = "an address: `https://` and a host, without a path";
    let issuer = table.optional(
        key("issuer", ISSUER, "The service that GitHub's workflows are known by.").otherwise(ISSUER),
        |field| field.text("an address that begins with `https://`", check::is_issuer),
    );
    let server = table.optional(key("server", SERVER, "The address of GitHub.").otherwise(SERVER), |field| {
        field.text(address, check::is_endpoint)
    });
    let trusted_root = table.optional(
        key(
            "trusted_root",
            "infra/trusted_root.json",
            "A file with the authorities that are believed, as Sigstore's trusted_root.json.",
        )
        .otherwise("Sigstore's public ones, and github.com's"),
        |field| field.path(),
    );
    let default = Verify::default();
    Some(Verify {
        repository: repository?,
        workflow: workflow?.unwrap_or(default.workflow),
        issuer: issuer?.unwrap_or(default.issuer),
        server: server?.unwrap_or(default.server),
        trusted_root: trusted_root?,
    })
}

impl Default for Verify {
    fn default() -> Self {
        let [workflow, issuer, server] = [WORKFLOW, ISSUER, SERVER].map(str::to_owned);
        Self { repository: None, workflow, issuer, server, trusted_root: None }
    }
}
