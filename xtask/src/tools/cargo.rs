//! cargo: builds the service's program.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde::Deserialize;

use super::cmd::{Cmd, REPOSITORY_VARIABLES};
use crate::fs::{found, read_text};

/// Which build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Fast to build.
    Dev,
    /// For a deploy.
    Release,
}

/// A build of a program.
pub struct Build<'a> {
    /// The project's root.
    pub root: &'a Utf8Path,
    /// The package of the program.
    pub package: &'a str,
    /// The program's name.
    pub binary: &'a str,
    /// Which build.
    pub profile: Profile,
    /// A Cargo.lock that is out of date is an error.
    pub locked: bool,
    /// For the macros of sqlx that ask a database.
    pub database: Option<&'a SecretString>,
    /// Variables that build scripts and macros must not inherit.
    pub hidden: &'a [String],
}

/// Builds a program and returns its path. `on_progress` gets texts such as `212 of 240 crates`, `on_line` the rest of cargo's
/// output.
pub async fn build(build: &Build<'_>, on_progress: impl Fn(&str), on_line: impl Fn(&str)) -> Result<Utf8PathBuf> {
    let Build { root, package, binary, profile, locked, database, hidden } = *build;
    let mut cargo = cargo(root)
        .without_env(hidden.iter().cloned())
        .args(["build", "--package", package, "--bin", binary, "--message-format", "json-render-diagnostics"])
        // cargo shows its progress bar on terminals only, unless this is set.
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100")
        .env("CARGO_TERM_COLOR", "never");
    if profile == Profile::Release {
        cargo = cargo.arg("--release");
    }
    if locked {
        cargo = cargo.arg("--locked");
    }
    if let Some(url) = database {
        cargo = cargo.env("SQLX_OFFLINE", "false").secret("DATABASE_URL", url);
    }
    let (executable, mut refused) = (Mutex::new(None), false);
    let built = cargo
        .run_lines_if(|line| match Line::read(line) {
            Line::Progress(text) => {
                on_progress(&text);
                false
            }
            Line::Message(message) => {
                let is_ours = message.target.is_some_and(|target| target.name == binary);
                if let (true, Some(path)) = (is_ours, message.executable) {
                    *executable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(path);
                }
                false
            }
            Line::Other => {
                refused |= line.contains("lock file") && line.contains("--locked was passed");
                on_line(line);
                true
            }
        })
        .await;
    if refused {
        built.context(
            "Cargo.lock does not fit the manifests, so the commit does not name what would be built\n  \
             type: cargo update --workspace; then commit Cargo.lock",
        )?;
    } else {
        built?;
    }
    let executable = executable.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    executable.with_context(|| format!("cargo built {package}, but reported no program {binary}"))
}

/// The files of the project and of its path dependencies that a program was compiled from, without those that the build itself
/// made. cargo lists them beside the program.
pub fn sources(root: &Utf8Path, program: &Utf8Path) -> Result<Vec<PathBuf>> {
    let Some(text) = found(read_text(format!("{program}.d")))? else { return Ok(Vec::new()) };
    // `target/release/<program>`
    let target = program.ancestors().nth(2).map(fs_err::canonicalize).transpose()?;
    let (_, names) = text.lines().next().and_then(|line| line.split_once(": ")).unwrap_or_default();
    // Only blanks are escaped.
    let names = names.replace("\\ ", "\0");
    let files = names.split(' ').map(|name| root.as_std_path().join(name.replace('\0', " ")));
    let files = files.filter_map(|file| fs_err::canonicalize(file).ok()).filter(|file| file.is_file());
    Ok(files.filter(|file| target.as_ref().is_none_or(|target| !file.starts_with(target))).collect())
}

/// The path of a binary of the workspace in cargo's target folder.
pub async fn built_program(root: &Utf8Path, binary: &str, profile: Profile) -> Result<Utf8PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: Utf8PathBuf,
    }
    let metadata = cargo(root).args(["metadata", "--format-version", "1", "--no-deps"]).capture().await?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("read cargo's metadata of the workspace")?;
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    };
    Ok(metadata.target_directory.join(folder).join(binary))
}

/// cargo, without the variables that the cargo that started this toolkit has set.
pub fn cargo(root: &Utf8Path) -> Cmd {
    Cmd::new(program()).dir(root).without_env(inherited())
}

/// Replaces this process by `cargo run` with these flags of cargo and these arguments of the program, so that signals, input,
/// output and the exit code are the program's. Built like this program: in debug or in release. Returns only if it failed.
pub fn exec_run<A: AsRef<OsStr>>(flags: &[&str], args: impl IntoIterator<Item = A>) -> anyhow::Error {
    let mut run = started_anew();
    run.arg("run").args(flags);
    if !cfg!(debug_assertions) {
        run.arg("--release");
    }
    run.arg("--").args(args).exec().into()
}

/// Has cargo build a program of this workspace, by this build, and replaces this process by it, with these arguments: signals,
/// input, output and the exit code are the program's. Built like this program: in debug or in release. Returns only if it failed.
///
/// Not `cargo run`: that chooses the features of dependencies for one package alone, and would compile again what a build of
/// several packages has compiled.
pub async fn become_built<A: AsRef<OsStr>>(
    root: &Utf8Path,
    build: impl FnOnce(&mut Command),
    binary: &str,
    args: impl IntoIterator<Item = A>,
) -> Result<Infallible> {
    let profile = if cfg!(debug_assertions) { Profile::Dev } else { Profile::Release };
    let mut command = started_anew();
    command.arg("build").current_dir(root).args((profile == Profile::Release).then_some("--release"));
    build(&mut command);
    let built = command.status().with_context(|| format!("start cargo to build `{binary}`"))?;
    ensure!(built.success(), "cargo could not build `{binary}`, and says why above");
    let program = built_program(root, binary, profile).await?;
    let mut command = Command::new(&program);
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    let error = command.args(args).exec();
    Err(error).with_context(|| format!("start {program}"))
}

/// cargo, without what the cargo that started this toolkit has set, and what git has set for a hook.
fn started_anew() -> Command {
    let mut cargo = Command::new(program());
    for name in inherited().iter().map(String::as_str).chain(REPOSITORY_VARIABLES) {
        cargo.env_remove(name);
    }
    cargo
}

/// The cargo that started this toolkit, else the one on the `PATH`.
pub fn program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Variables that cargo sets for the program that it runs. Another cargo must not inherit them, because build scripts that watch
/// them would run again.
pub fn inherited() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let cargos = names.filter(|name| {
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_")
    });
    cargos.chain(["CARGO_CRATE_NAME".to_owned(), "CARGO_PRIMARY_PACKAGE".to_owned()]).collect()
}

/// The progress in a line of cargo's output, if it has any: `212 of 240 crates`.
pub fn progress(line: &str) -> Option<String> {
    // `    Building [====>    ] 212/240: serde, syn`
    let text = line.trim_start();
    let counts = text.strip_prefix("Building [").and_then(|rest| rest.split_once("] ")).map(|(_, counts)| counts);
    if let Some((done, rest)) = counts.and_then(|counts| counts.split_once('/')) {
        let (all, now) = rest.split_once(':').unwrap_or((rest, ""));
        let now = now.split(',').next().unwrap_or_default().trim();
        return Some(format!("{done} of {} crates  {now}", all.trim()).trim_end().to_owned());
    }
    text.strip_prefix("Blocking waiting for ").map(|what| format!("waiting for {what}"))
}

enum Line {
    Progress(String),
    Message(Message),
    Other,
}

#[derive(Deserialize)]
struct Message {
    executable: Option<Utf8PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Line {
    fn read(line: &str) -> Self {
        if line.starts_with('{') {
            return serde_json::from_str(line).map_or(Self::Other, Self::Message);
        }
        progress(line).map_or(Self::Other, Self::Progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_bar_is_read() {
        let Line::Progress(text) = Line::read("    Building [=====>   ] 212/240: serde, syn(build)") else {
            panic!("no progress");
        };
        assert_eq!(text, "212 of 240 crates  serde");
        assert!(matches!(Line::read("error[E0308]: mismatched types"), Line::Other));
    }
}
