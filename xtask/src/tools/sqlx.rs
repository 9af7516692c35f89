//! sqlx: its query macros, which ask a database while cargo compiles them and write what it answers into a folder.
//!
//! With `DATABASE_URL`, `SQLX_OFFLINE=false` and `SQLX_OFFLINE_DIR` set, the macros write one `query-<hash>.json` per
//! query (sqlx-macros-core 0.9, `src/query/mod.rs`): that is all that sqlx's own command line program does too, so it
//! need not be installed.

pub mod cache;
pub mod migrate;
pub mod statements;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde::Deserialize;

use self::cache::Cache;
use super::cargo::{self, cargo};
use super::cmd::Cmd;
use crate::fs::{Lock, LockError, found};
use crate::report::Ongoing;

/// How often the sources are compiled when somebody else compiles in the same folder.
const ATTEMPTS: usize = 3;

/// How long another process may compile: all dependencies of a service, at worst.
const TURN: Duration = Duration::from_secs(3600);

/// How the folders begin that the macros write into.
const ANSWERS: &str = "answers-";

/// The workspace, as far as compiling the service's queries takes it.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    target_directory: Utf8PathBuf,
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: Utf8PathBuf,
}

/// What the compiler refuses, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// File, relative to the workspace's root, line and column.
    pub at: (String, usize, usize),
    /// In its words.
    pub text: String,
}

impl Workspace {
    /// Asks cargo.
    pub async fn find(root: &Utf8Path) -> Result<Self> {
        let said = cargo(root).args(["metadata", "--no-deps", "--format-version", "1"]).capture().await?;
        serde_json::from_str(&said).context("read what cargo metadata said")
    }

    /// The folder of a package of the workspace.
    pub fn folder(&self, package: &str) -> Result<&Utf8Path> {
        let found = self.packages.iter().find(|known| known.name == package);
        let found = found.with_context(|| format!("there is no package {package} in the workspace"))?;
        found.manifest_path.parent().with_context(|| format!("{} is in no folder", found.manifest_path))
    }

    /// Compiles every target of a package, so that its queries are asked of this database: what it says of them, and what
    /// the compiler refuses. Fails when cargo does for another reason.
    ///
    /// Works in a target folder of its own, `sqlx` in the workspace's: nobody's build is made stale, and no time of a
    /// source file changes. One process at a time, or one would take what another has compiled for done.
    pub async fn describe(
        &self,
        root: &Utf8Path,
        package: &str,
        database: &SecretString,
        step: &Ongoing,
    ) -> Result<(Cache, Vec<Mistake>)> {
        self.check_settings(root, package)?;
        let target = self.target_directory.join("sqlx");
        let _turn = turn(&target, step).await?;
        remove_leftovers(&target)?;
        // What is compiled already would ask nothing.
        let mut clean = cargo(root).args(["clean", "--quiet", "--target-dir", target.as_str()]);
        for member in &self.packages {
            clean = clean.args(["--package", &member.name]);
        }
        for _ in 0..ATTEMPTS {
            clean.run().await?;
            let folder = tempfile::Builder::new().prefix(ANSWERS).tempdir_in(&target)?;
            let into = Utf8Path::from_path(folder.path()).context("the target folder is not named in UTF-8")?;
            let check = cargo(root)
                .args(["check", "--package", package, "--all-targets", "--message-format", "json"])
                .args(["--target-dir", target.as_str()])
                .env("CARGO_TERM_PROGRESS_WHEN", "always")
                .env("CARGO_TERM_PROGRESS_WIDTH", "100")
                .env("CARGO_TERM_COLOR", "never")
                .env("SQLX_OFFLINE", "false")
                .env("SQLX_OFFLINE_DIR", into.as_str())
                .secret("DATABASE_URL", database);
            if let Some(mistakes) = self.compile(&check, step).await? {
                return Ok((Cache::read(into)?.unwrap_or_default(), mistakes));
            }
        }
        bail!("something else compiles in {target} at the same time; end it, and type the command again")
    }

    /// None when something was compiled already: by a cargo whose toolkit was killed, and which went on.
    async fn compile(&self, check: &Cmd, step: &Ongoing) -> Result<Option<Vec<Mistake>>> {
        let (mistakes, stale) = (RefCell::new(Vec::new()), Cell::new(false));
        let ended = check
            .run_lines_if(|line| {
                if let Some(progress) = cargo::progress(line) {
                    step.progress(&progress);
                    return false;
                }
                let Ok(said) = serde_json::from_str::<Said>(line) else {
                    step.output(line);
                    return true;
                };
                let is_ours =
                    self.packages.iter().any(|package| Some(&package.manifest_path) == said.manifest_path.as_ref());
                if is_ours && said.fresh == Some(true) {
                    stale.set(true);
                }
                let mut mistakes = mistakes.borrow_mut();
                // The library is compiled again for its tests, and says all of it again.
                if let Some(mistake) = said.mistake().filter(|mistake| !mistakes.contains(mistake)) {
                    mistakes.push(mistake);
                }
                false
            })
            .await;
        let mistakes = mistakes.into_inner();
        match ended {
            Err(error) if mistakes.is_empty() => Err(error),
            _ if stale.get() => Ok(None),
            _ => Ok(Some(mistakes)),
        }
    }

    /// A package's own cache would go before the workspace's, and with another variable's name the macros would ask a
    /// database of the user's.
    fn check_settings(&self, root: &Utf8Path, package: &str) -> Result<()> {
        let folder = self.folder(package)?;
        let own = folder.join(cache::FOLDER);
        ensure!(folder == root || !own.exists(), "builds take {own} before {root}/{}; remove it", cache::FOLDER);
        let settings = folder.join("sqlx.toml");
        let renamed = settings.exists() && fs_err::read_to_string(&settings)?.contains("database-url-var");
        ensure!(!renamed, "{settings} renames DATABASE_URL, by which the macros are given a database; take that out");
        Ok(())
    }
}

/// The version of sqlx that Cargo.lock names; none when the workspace does not use it.
pub fn locked_version(root: &Utf8Path) -> Result<Option<String>> {
    let Some(lock) = found(fs_err::read_to_string(root.join("Cargo.lock")))? else { return Ok(None) };
    let after = lock.lines().skip_while(|line| *line != r#"name = "sqlx""#).nth(1);
    let version = after.and_then(|line| line.strip_prefix("version = "));
    Ok(version.map(|version| version.trim_matches('"').to_owned()))
}

#[derive(Deserialize)]
struct Said {
    manifest_path: Option<Utf8PathBuf>,
    fresh: Option<bool>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    message: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    column_start: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

impl Said {
    fn mistake(self) -> Option<Mistake> {
        let message = self.message.filter(|message| message.level.starts_with("error"))?;
        // Without a place, it is the sum of the others ("aborting due to 2 previous errors").
        let mut span = message.spans.into_iter().find(|span| span.is_primary)?;
        // A macro's error is told where the macro is used.
        while let Some(expansion) = span.expansion {
            span = expansion.span;
        }
        Some(Mistake { at: (span.file_name, span.line_start, span.column_start), text: message.message })
    }
}

/// What a killed process left. A cargo that it left may go on, and then finds nowhere to write.
fn remove_leftovers(target: &Utf8Path) -> Result<()> {
    for entry in target.read_dir_utf8().with_context(|| format!("list {target}"))? {
        let entry = entry?;
        if entry.file_name().starts_with(ANSWERS) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Waits until no other process compiles in this folder.
async fn turn(target: &Utf8Path, step: &Ongoing) -> Result<Lock> {
    fs_err::create_dir_all(target)?;
    let path = target.join(".xtask-lock");
    let doing = "compiles the queries";
    if let Err(LockError::Held { holder, .. }) = &Lock::try_take(&path, doing) {
        step.progress(&format!("waiting for {holder}"));
    }
    Ok(Lock::take(&path, doing, TURN).await?)
}
