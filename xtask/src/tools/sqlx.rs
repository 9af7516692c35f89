//! sqlx: its query macros, which query a database at compile time and write its answers into a folder.
//!
//! With `DATABASE_URL`, `SQLX_OFFLINE=false` and `SQLX_OFFLINE_DIR` set, the macros write one `query-<hash>.json` per
//! query (sqlx-macros-core 0.9, `src/query/mod.rs`). sqlx's own command line program does the same, so it is not needed.

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
use crate::fs::{Lock, LockError, project, read_text, temporary_folder};
use crate::report::Ongoing;

/// Attempts to compile while another process compiles in the same folder.
const ATTEMPTS: usize = 3;

/// How long another process may compile: in the worst case, all dependencies of a service.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3600);

/// The prefix of the folders that the macros write into.
const ANSWERS: &str = "answers-";

/// The workspace of the service.
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

/// An error of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// File, relative to the workspace's root, line and column.
    pub at: (String, usize, usize),
    /// The compiler's message.
    pub text: String,
}

impl Workspace {
    /// Reads cargo's metadata.
    pub async fn find(root: &Utf8Path) -> Result<Self> {
        let metadata = cargo(root).args(["metadata", "--no-deps", "--format-version", "1"]).capture().await?;
        serde_json::from_str(&metadata).context("read cargo's metadata")
    }

    /// The folder of a package of the workspace.
    pub fn folder(&self, package: &str) -> Result<&Utf8Path> {
        let found = self.packages.iter().find(|known| known.name == package);
        let found = found.with_context(|| format!("the workspace has no package {package}"))?;
        found.manifest_path.parent().with_context(|| format!("{} is in no folder", found.manifest_path))
    }

    /// Compiles every target of a package, so that the macros query this database. Returns its answers and the compiler's errors.
    /// Build scripts do not inherit the variables `hidden`. Fails if cargo fails for another reason.
    ///
    /// Uses its own target folder, `sqlx` in the workspace's, so that other builds stay fresh and no source file is touched. One
    /// process at a time: a crate that another one has compiled would not be compiled again.
    pub async fn describe(
        &self,
        root: &Utf8Path,
        package: &str,
        database: &SecretString,
        hidden: &[String],
        step: &Ongoing,
    ) -> Result<(Cache, Vec<CompileError>)> {
        self.check_settings(root, package)?;
        let target = self.target_directory.join("sqlx");
        let _lock = lock(&target, step).await?;
        remove_leftovers(&target)?;
        // A crate that is compiled already would query nothing.
        let mut clean = cargo(root).args(["clean", "--quiet", "--target-dir", target.as_str()]);
        for member in &self.packages {
            clean = clean.args(["--package", &member.name]);
        }
        for _ in 0..ATTEMPTS {
            clean.run().await?;
            let folder = temporary_folder(ANSWERS, &target)?;
            let into = Utf8Path::from_path(folder.path()).context("the path of the target folder is not UTF-8")?;
            let check = cargo(root)
                .args(["check", "--package", package, "--all-targets", "--message-format", "json"])
                .args(["--target-dir", target.as_str()])
                .env("CARGO_TERM_PROGRESS_WHEN", "always")
                .env("CARGO_TERM_PROGRESS_WIDTH", "100")
                .env("CARGO_TERM_COLOR", "never")
                .without_env(hidden.iter().cloned())
                .env("SQLX_OFFLINE", "false")
                .env("SQLX_OFFLINE_DIR", into.as_str())
                .secret("DATABASE_URL", database);
            if let Some(errors) = self.compile(&check, step).await? {
                return Ok((Cache::read(into)?.unwrap_or_default(), errors));
            }
        }
        bail!("another process compiles in {target}; end it, and type the command again")
    }

    /// None if a crate was compiled already, by a cargo that survived its killed toolkit.
    async fn compile(&self, check: &Cmd, step: &Ongoing) -> Result<Option<Vec<CompileError>>> {
        let (errors, stale) = (RefCell::new(Vec::new()), Cell::new(false));
        let ended = check
            .run_lines_if(|line| {
                if let Some(progress) = cargo::progress(line) {
                    step.progress(&progress);
                    return false;
                }
                let Ok(message) = serde_json::from_str::<CargoMessage>(line) else {
                    step.output(line);
                    return true;
                };
                let is_ours =
                    self.packages.iter().any(|package| Some(&package.manifest_path) == message.manifest_path.as_ref());
                if is_ours && message.fresh == Some(true) {
                    stale.set(true);
                }
                let mut errors = errors.borrow_mut();
                // The library is compiled again for its tests, with the same errors.
                if let Some(error) = message.error().filter(|error| !errors.contains(error)) {
                    errors.push(error);
                }
                false
            })
            .await;
        let errors = errors.into_inner();
        match ended {
            Err(error) if errors.is_empty() => Err(error),
            _ if stale.get() => Ok(None),
            _ => Ok(Some(errors)),
        }
    }

    /// Refuses a package's own cache, which has precedence over the workspace's, and another name for `DATABASE_URL`, with which
    /// the macros would query the user's database.
    fn check_settings(&self, root: &Utf8Path, package: &str) -> Result<()> {
        let folder = self.folder(package)?;
        let own = folder.join(cache::FOLDER);
        ensure!(
            folder == root || !own.exists(),
            "{own} has precedence over {root}/{} in builds; remove it",
            cache::FOLDER
        );
        let settings = folder.join("sqlx.toml");
        let renamed = settings.exists() && read_text(&settings)?.contains("database-url-var");
        ensure!(
            !renamed,
            "{settings} renames DATABASE_URL, which this command sets for the macros; remove `database-url-var`"
        );
        Ok(())
    }
}

/// The version of sqlx in Cargo.lock; none if the workspace does not use it.
pub fn locked_version(root: &Utf8Path) -> Result<Option<String>> {
    let Some(lock) = project::read(root, Utf8Path::new("Cargo.lock"))? else { return Ok(None) };
    let lock = String::from_utf8_lossy(&lock);
    let after = lock.lines().skip_while(|line| *line != r#"name = "sqlx""#).nth(1);
    let version = after.and_then(|line| line.strip_prefix("version = "));
    Ok(version.map(|version| version.trim_matches('"').to_owned()))
}

/// Whether this version of sqlx keeps its query cache in `.sqlx`. Earlier ones wrote `sqlx-data.json`, by another program.
pub fn keeps_cache(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (0, 7)
}

#[derive(Deserialize)]
struct CargoMessage {
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

impl CargoMessage {
    fn error(self) -> Option<CompileError> {
        let message = self.message.filter(|message| message.level.starts_with("error"))?;
        // A message without a position is the summary: "aborting due to 2 previous errors".
        let mut span = message.spans.into_iter().find(|span| span.is_primary)?;
        // The position of a macro's error is that of its call.
        while let Some(expansion) = span.expansion {
            span = expansion.span;
        }
        Some(CompileError { at: (span.file_name, span.line_start, span.column_start), text: message.message })
    }
}

/// Removes the folders of a killed process. If its cargo still runs, it fails to write there.
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
async fn lock(target: &Utf8Path, step: &Ongoing) -> Result<Lock> {
    fs_err::create_dir_all(target)?;
    let path = target.join(".xtask-lock");
    let doing = "compiles the queries";
    if let Err(LockError::Held { holder, .. }) = &Lock::try_take(&path, doing) {
        step.progress(&format!("waiting for {holder}"));
    }
    Ok(Lock::take(&path, doing, LOCK_TIMEOUT).await?)
}
