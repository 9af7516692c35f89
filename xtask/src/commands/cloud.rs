//! What only the build with the feature `cloud` can do: images, stacks, buckets, zones. The toolkit is compiled without it at
//! first, because a deploy on this machine takes none of it and need not wait for its dependencies. The first command that needs
//! it compiles the rest.

use std::convert::Infallible;

use crate::config::{Config, Environment, Target};
use crate::failure::Failure;
use crate::tools::cargo;
use crate::typed;

/// Returns if this build has what commands about this environment need. Otherwise replaces this process by a build that has it.
pub fn ensure_for(config: &Config, environment: &Environment) -> Result<(), Failure> {
    let runs_a_process = matches!(environment.target, Target::Local(_)) && !config.service.image;
    if cfg!(feature = "cloud") || runs_a_process {
        return Ok(());
    }
    match become_full_build()? {}
}

/// Whether deploy.yaml has the environment that the command line names: a wrong name is told before cargo builds for minutes.
#[cfg(not(feature = "cloud"))]
pub fn check_environment(config: &Config, command: clap::Command) -> Result<(), Failure> {
    let Ok(matches) = command.try_get_matches() else { return Ok(()) };
    let mut innermost = &matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    match innermost.try_get_one::<String>("environment") {
        Ok(Some(name)) => Ok(config.environment(name).map(drop)?),
        _ => Ok(()),
    }
}

/// Replaces this process by `cargo run --features cloud` with the same arguments: its signals, its input and output and its exit
/// code are those of the command. Not `--quiet`: the first time, the rest of the dependencies is compiled for minutes.
pub fn become_full_build() -> Result<Infallible, Failure> {
    let manifest = manifest();
    let error = cargo::exec_run(&["--manifest-path", &manifest, "--features", "cloud"], typed::arguments());
    Err(error.context("start cargo, which builds the toolkit with the feature `cloud`").into())
}

/// This package's, wherever the command is typed. Cargo names the folder to a program that it runs. The folder that was compiled in
/// may be another one: cargo does not compile again when a project moves, or is copied with its target folder.
fn manifest() -> String {
    let named = std::env::var("CARGO_MANIFEST_DIR").ok();
    let is_ours = std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == crate::PACKAGE);
    let folder = named.filter(|_| is_ours).unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned());
    format!("{folder}/Cargo.toml")
}
