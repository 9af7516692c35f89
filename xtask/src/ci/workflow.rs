//! A workflow of GitHub Actions, as far as `ci run` needs it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use crate::failure::Failure;
use crate::fs::project;
use crate::typed::INSTALLED;

/// Where GitHub finds workflows.
const FOLDER: &str = ".github/workflows";

/// A workflow.
#[derive(Debug, Deserialize)]
pub struct Workflow {
    /// The name of its file, without `.yml`.
    #[serde(skip)]
    pub name: String,
    on: Value,
    #[serde(default, deserialize_with = "texts")]
    pub env: BTreeMap<String, String>,
    jobs: Mapping,
}

/// A job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    #[serde(skip)]
    pub id: String,
    #[serde(rename = "if")]
    pub condition: Option<String>,
    #[serde(default)]
    needs: Option<Names>,
    environment: Option<Environment>,
    #[serde(default, deserialize_with = "texts")]
    pub permissions: BTreeMap<String, String>,
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// A step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    name: Option<String>,
    pub id: Option<String>,
    #[serde(rename = "if")]
    pub condition: Option<String>,
    pub uses: Option<String>,
    pub run: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    pub env: BTreeMap<String, String>,
    pub working_directory: Option<Utf8PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Environment {
    Name(String),
    More { name: String },
}

/// GitHub takes numbers and truth values as texts, and one word for all permissions.
fn texts<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Mapping(all) = Value::deserialize(from)? else { return Ok(BTreeMap::new()) };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    };
    Ok(all.into_iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), text(value)?))).collect())
}

impl Workflow {
    /// Every workflow of the project that `cargo xtask render` has written, by name.
    pub fn all(root: &Utf8Path) -> Result<Vec<Self>, Failure> {
        let names = crate::config::Workflow::ALL.map(crate::config::Workflow::name);
        let there: Result<Vec<Option<Self>>> = names.iter().map(|name| Self::read(root, name)).collect();
        let all: Vec<Self> = there?.into_iter().flatten().collect();
        if all.is_empty() {
            return Err(Failure::Usage(anyhow!(
                "{FOLDER} has no rendered workflow; add `github: {{ repository: owner/name }}` to deploy.yaml, and type: cargo xtask render"
            )));
        }
        Ok(all)
    }

    fn read(root: &Utf8Path, name: &str) -> Result<Option<Self>> {
        let path = Utf8PathBuf::from(format!("{FOLDER}/{name}.yml"));
        let Some(text) = project::read(root, &path).with_context(|| format!("read {path}"))? else { return Ok(None) };
        let workflow: Self = serde_yaml::from_slice(&text).with_context(|| format!("{path} is no workflow"))?;
        Ok(Some(Self { name: name.to_owned(), ..workflow }))
    }

    /// The names of the inputs of a run by hand.
    pub fn inputs(&self) -> Vec<&str> {
        let inputs = self.on.get("workflow_dispatch").and_then(|event| event.get("inputs")).and_then(Value::as_mapping);
        inputs.into_iter().flat_map(Mapping::keys).filter_map(Value::as_str).collect()
    }

    /// The events that start it, in the order of the file.
    pub fn events(&self) -> Vec<&str> {
        match &self.on {
            Value::Mapping(events) => events.keys().filter_map(Value::as_str).collect(),
            Value::Sequence(events) => events.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        }
    }

    /// Its jobs, each after those that it needs; otherwise in the order of the file.
    pub fn jobs(&self) -> Result<Vec<Job>> {
        let mut waiting = Vec::new();
        for (id, job) in &self.jobs {
            let id = id.as_str().context("the id of a job is no text")?.to_owned();
            let read: Job = serde_yaml::from_value(job.clone()).with_context(|| format!("read the job {id}"))?;
            waiting.push(Job { id, ..read });
        }
        let mut ordered: Vec<Job> = Vec::new();
        while !waiting.is_empty() {
            let is_ready = |job: &Job| job.needs().iter().all(|need| ordered.iter().any(|other| other.id == **need));
            let next = waiting.iter().position(is_ready);
            let next =
                next.with_context(|| format!("the jobs of {} need each other, or one that there is not", self.name))?;
            ordered.push(waiting.remove(next));
        }
        Ok(ordered)
    }
}

impl Job {
    /// The ids of the jobs that it needs.
    pub fn needs(&self) -> Vec<&str> {
        match &self.needs {
            None => Vec::new(),
            Some(Names::One(name)) => vec![name],
            Some(Names::Several(names)) => names.iter().map(String::as_str).collect(),
        }
    }

    /// The name of its environment at GitHub.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_ref().map(|environment| match environment {
            Environment::Name(name) | Environment::More { name } => name.as_str(),
        })
    }

    /// Whether it uses what another job has handed on.
    pub fn takes_outputs(&self) -> bool {
        let steps = self.steps.iter().flat_map(|step| step.env.values().chain(&step.condition).chain(&step.run));
        let texts = self.env.values().chain(&self.condition).chain(steps);
        texts.into_iter().any(|text| text.contains("needs."))
    }

    /// Whether GitHub would give it tokens of OpenID Connect.
    pub fn has_identity(&self) -> bool {
        self.permissions.get("id-token").is_some_and(|level| level == "write")
    }
}

impl Step {
    /// What people know it by.
    pub fn title(&self) -> &str {
        let text = self.name.as_deref().or(self.uses.as_deref()).or(self.run.as_deref()).unwrap_or("a step");
        text.lines().next().unwrap_or_default()
    }

    /// Whether it runs the toolkit.
    pub fn runs_toolkit(&self) -> bool {
        let installed = |script: &String| script.split_whitespace().any(|word| word == INSTALLED);
        self.run.as_ref().is_some_and(|script| script.contains("cargo xtask ") || installed(script))
    }
}
