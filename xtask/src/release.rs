//! What goes from step to step: each step takes the previous one's type, so the compiler keeps their order. All of it is
//! data; the journal keeps it, and records hold parts of it.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::hash::{sha256, sha256_file, sha256_folder};

/// What a finished step says of itself.
pub trait Summary {
    /// One line for people.
    fn summary(&self) -> String;
}

/// A step's result that the journal keeps.
pub trait StepResult: Summary + Serialize + serde::de::DeserializeOwned {
    /// Whether what the step made is still there, unchanged.
    fn holds(&self) -> bool;
}

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
    /// Whether the tree has changes that are in no commit.
    pub fn is_dirty(&self) -> bool {
        self.version.contains("-dirty-")
    }
}

impl Summary for Source {
    fn summary(&self) -> String {
        let state = if self.is_dirty() { "with uncommitted changes" } else { "clean" };
        let branch = self.branch.as_deref().map_or_else(|| "detached".to_owned(), |branch| format!("on {branch}"));
        format!("{}, {state}, {branch}", self.version)
    }
}

impl StepResult for Source {
    fn holds(&self) -> bool {
        // The tree is pinned anew by the inputs of the step, which are its state.
        true
    }
}

/// One migration of the service, as it stands in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The file's name.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Marked by a line `-- irreversible`: older code cannot run on the schema it leaves.
    pub irreversible: bool,
}

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it was built from.
    pub source: Source,
    /// The service's program, in cargo's target folder.
    pub binary: Utf8PathBuf,
    /// SHA-256 of the program.
    pub sha256: String,
    /// The web UI's built files.
    pub web: Option<Web>,
    /// The service's migrations, oldest first.
    pub migrations: Vec<Migration>,
}

/// The web UI, built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Web {
    /// The folder.
    pub folder: Utf8PathBuf,
    /// SHA-256 over names and contents of all files.
    pub sha256: String,
}

impl Summary for Artifact {
    fn summary(&self) -> String {
        let size = fs_err::metadata(&self.binary).map_or(0, |data| data.len());
        let web = if self.web.is_some() { ", web" } else { "" };
        format!("{} {:.1} MB{web}", self.binary.file_name().unwrap_or_default(), size as f64 / 1e6)
    }
}

impl StepResult for Artifact {
    fn holds(&self) -> bool {
        let same_web =
            self.web.as_ref().is_none_or(|web| sha256_folder(&web.folder).is_ok_and(|sha| sha == web.sha256));
        sha256_file(&self.binary).is_ok_and(|sha| sha == self.sha256) && same_web
    }
}

/// An artifact where the place takes it from. From here on it is named by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// What it was built from.
    pub source: Source,
    /// The folder `bin/`, `web/` and `release.json` are in.
    pub folder: Utf8PathBuf,
    /// Name of the program in `bin/`.
    pub program: String,
    /// `sha256:<hex>` over the program and the web files.
    pub digest: String,
    /// The service's migrations, oldest first.
    pub migrations: Vec<Migration>,
}

impl Published {
    /// The program.
    pub fn binary(&self) -> Utf8PathBuf {
        self.folder.join("bin").join(&self.program)
    }

    /// The web UI's folder, if the release has one.
    pub fn web(&self) -> Option<Utf8PathBuf> {
        let web = self.folder.join("web");
        web.is_dir().then_some(web)
    }
}

impl Summary for Published {
    fn summary(&self) -> String {
        format!("{}, {} migrations", short_digest(&self.digest), self.migrations.len())
    }
}

impl StepResult for Published {
    fn holds(&self) -> bool {
        digest(&self.binary(), self.web().as_deref()).is_ok_and(|digest| digest == self.digest)
    }
}

/// A release that serves.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Where people reach it.
    pub address: String,
    /// What the service says of features that are off, by name.
    pub features_off: Vec<(String, String)>,
}

/// The digest of a program and its web files: what `Published` and records are named by.
pub fn digest(binary: &Utf8Path, web: Option<&Utf8Path>) -> anyhow::Result<String> {
    let mut parts = sha256_file(binary)?;
    if let Some(web) = web {
        parts.push_str(&sha256_folder(web)?);
        return Ok(format!("sha256:{}", sha256(parts.as_bytes())));
    }
    Ok(format!("sha256:{parts}"))
}

/// `sha256:` and the first twelve digits.
pub fn short_digest(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}
