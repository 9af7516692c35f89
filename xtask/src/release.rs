//! What goes from step to step. Each step takes the previous one's type, so the compiler keeps their order. All of it is
//! data without paths: the journal keeps it, records hold parts of it, and another machine understands it.

mod media;
mod settings;
pub mod tag;

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use self::media::{MediaSettings, MediaValue};
pub use self::settings::Settings;
use crate::config::Config;
use crate::fs::project;
use crate::hash::{files_below, sha256};
use crate::report::Summary;

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// `<sha12>`, or `<sha12>-dirty-<hash of the changes>`.
    pub version: String,
    /// First line of the commit's message.
    pub subject: String,
    /// The branch, unless the head is detached.
    pub branch: Option<String>,
}

impl Source {
    /// Whether it is a commit, without changes that are in none.
    pub fn is_clean(&self) -> bool {
        !self.version.contains("-dirty-")
    }
}

/// One migration of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The file's name.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Marked by a line `-- irreversible`: older code cannot run on the schema it leaves.
    pub irreversible: bool,
}

/// Whether the release that served before can start again on the schema that a release leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBack {
    /// The version that served before.
    pub version: String,
    /// The migrations in between, by name.
    pub across: Vec<String>,
    /// What was found.
    pub trial: Trial,
}

/// What the start of a release on another release's schema showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// It became ready.
    Starts,
    /// It did not, for this reason.
    Fails(String),
    /// It was not started, for this reason.
    NotTried(String),
}

/// The proof of who built an image, as it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The commit that it was built from: the deployed one, or an earlier one with the same inputs.
    pub commit: String,
    /// The workflow's file and the reference that it ran for: `.github/workflows/ci.yml@refs/heads/main`.
    pub workflow: String,
    /// The address of the workflow's run.
    #[serde(default)]
    pub run: Option<String>,
}

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it was built from.
    pub source: Source,
    /// The service's migrations, oldest first.
    pub migrations: Vec<Migration>,
    /// The bytes.
    pub form: ArtifactForm,
}

/// The bytes of an [`Artifact`]. The target knows where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactForm {
    /// A program in cargo's target folder, and the web UI's files.
    Binary {
        /// SHA-256 of the program.
        sha256: String,
        /// Bytes of the program.
        size: u64,
        /// SHA-256 over names and contents of the web UI's files, if the service has one.
        web: Option<String>,
        /// SHA-256 over what deploy.yaml names beside the program, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<String>,
    },
    /// Files that a command of deploy.yaml runs with, and the web UI's.
    Files {
        /// SHA-256 over names and contents.
        sha256: String,
        /// Their bytes.
        size: u64,
        /// SHA-256 over names and contents of the web UI's files, if the service has one.
        web: Option<String>,
    },
    /// An image in a builder or a registry.
    Image {
        /// Name and tag: `rg.fr-par.scw.cloud/meemi/app:inputs-<24 digits>`.
        name: String,
    },
}

/// An artifact where the target takes it from. From here on it is named by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// What it was built from.
    pub source: Source,
    /// `sha256:<hex>`: of a folder over all that is in it, of an image its manifest's.
    pub digest: String,
    /// The service's migrations, oldest first.
    pub migrations: Vec<Migration>,
    /// Where it is.
    pub form: PublishedForm,
}

/// Where a [`Published`] artifact is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedForm {
    /// In the target's folder of releases.
    Folder {
        /// Name of the program in `bin/`.
        program: String,
    },
    /// The same without a program of its own.
    Command {
        /// What runs it: a program on the `PATH` or among the files, and its arguments.
        command: Vec<String>,
    },
    /// In a registry.
    Image {
        /// The name without a tag.
        name: String,
    },
}

/// A published artifact with the settings that it runs with: what a plan is made of, and what a record names. An older one is
/// applied as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The bytes.
    pub published: Published,
    /// Settings that are not secret, by the name of their variable.
    pub settings: BTreeMap<String, String>,
    /// Fingerprints of secret settings, by name: they tell a change and nothing more.
    pub secrets: BTreeMap<String, String>,
    /// Hash over settings and fingerprints.
    pub inputs: String,
}

impl Migration {
    /// The service's migrations as they are in the tree: the `.sql` files of their folder, in the order of their names.
    pub fn of(config: &Config) -> anyhow::Result<Vec<Self>> {
        let mut migrations = Vec::new();
        let Some(folder) = &config.service.migrations else { return Ok(migrations) };
        for path in files_below(&config.root.join(folder))? {
            if path.extension() != Some("sql") {
                continue;
            }
            let within = path.strip_prefix(&config.root).unwrap_or(&path);
            let bytes = project::read(&config.root, within).with_context(|| format!("read the migration {within}"))?;
            let bytes = bytes.with_context(|| format!("{within} is a link to nothing"))?;
            let name = path.file_name().context("a migration has no name")?.to_owned();
            migrations.push(Self::read(name, &bytes));
        }
        Ok(migrations)
    }

    /// A migration with this content.
    pub fn read(name: String, bytes: &[u8]) -> Self {
        let irreversible =
            String::from_utf8_lossy(bytes).lines().any(|line| line.trim().eq_ignore_ascii_case("-- irreversible"));
        Self { name, sha256: sha256(bytes), irreversible }
    }
}

impl Published {
    /// `name@sha256:…` of an image; none for a folder.
    pub fn image(&self) -> Option<String> {
        match &self.form {
            PublishedForm::Folder { .. } | PublishedForm::Command { .. } => None,
            PublishedForm::Image { name } => Some(format!("{name}@{}", self.digest)),
        }
    }
}

impl Release {
    /// A published artifact with these settings.
    pub fn new(published: Published, settings: &Settings) -> anyhow::Result<Self> {
        let (plain, secrets) = (settings.plain.clone(), settings.fingerprints.clone());
        Ok(Self { published, settings: plain, secrets, inputs: settings.inputs()? })
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.published.source.version
    }
}

impl Summary for Source {
    fn summary(&self) -> String {
        let state = if self.is_clean() { "clean" } else { "with uncommitted changes" };
        let branch = self.branch.as_deref().map_or_else(|| "detached".to_owned(), |branch| format!("on {branch}"));
        format!("{}, {state}, {branch}", self.version)
    }
}

impl Summary for Artifact {
    fn summary(&self) -> String {
        match &self.form {
            ArtifactForm::Binary { size, web, .. } | ArtifactForm::Files { size, web, .. } => {
                let web = if web.is_some() { ", web" } else { "" };
                format!("{:.1} MB{web}", *size as f64 / 1e6)
            }
            ArtifactForm::Image { name } => name.clone(),
        }
    }
}

impl Summary for Published {
    fn summary(&self) -> String {
        let migrations = match self.migrations.len() {
            1 => "1 migration".to_owned(),
            count => format!("{count} migrations"),
        };
        format!("{}, {migrations}", short_digest(&self.digest))
    }
}

impl Summary for Provenance {
    fn summary(&self) -> String {
        let built = format!("built from {} by {}", &self.commit[..12], self.workflow);
        self.run.iter().fold(built, |built, run| format!("{built}\n{run}"))
    }
}

impl Summary for WayBack {
    fn summary(&self) -> String {
        let version = &self.version;
        match &self.trial {
            Trial::Starts => format!("{version} starts on the new schema"),
            Trial::Fails(_) => format!("{version} does not start on the new schema"),
            Trial::NotTried(why) => format!("not tried whether {version} starts on the new schema: {why}"),
        }
    }
}

/// A commit's first twelve digits; all of a text that has fewer.
pub fn short_commit(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// `sha256:` and the first twelve digits.
pub fn short_digest(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}
