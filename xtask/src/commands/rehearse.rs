//! `rehearse` is a program of its own, the crate `rehearsal`, so that a deploy does not compile its dependencies.

use std::convert::Infallible;

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::env;
use crate::failure::Failure;
use crate::tools::cargo;

/// The crate's manifest, in a project that has it.
const MANIFEST: &str = "xtask/rehearsal/Cargo.toml";

/// The end of the help of `rehearse`, here and in `rehearsal`.
pub const EXAMPLES: &str = "Examples:
  cargo xtask rehearse production
  cargo xtask rehearse production --break all
  cargo xtask rehearse production --break health --keep
  cargo xtask rehearse production --ci
  cargo xtask rehearse clean production

The stack's own files, the real OpenTofu, Docker engine, registry, S3 server and PostgreSQL; the providers, the platform and DNS \
are stood in for. Nothing leaves this machine, and nothing of the project changes: the rehearsal works in a clone of the last \
commit below .deploy/rehearsal-ENV. Values that only an account has, such as project ids, are read from \
environments.ENV.rehearsal in deploy.yaml; what is missing is said at the start.";

/// Arguments for `rehearsal`, including `--help`.
#[derive(Args, Debug)]
pub struct RehearseArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Replaces this process by `cargo run --package rehearsal`, so signals and the exit code are those of `rehearsal`.
pub fn become_rehearsal(args: RehearseArgs, json: bool) -> Result<Infallible, Failure> {
    let root = env::find_root().map_err(Failure::Usage)?;
    if !root.join(MANIFEST).exists() {
        return Err(Failure::Usage(anyhow!(
            "{root} has no {MANIFEST}: `cargo xtask rehearse` works in a project that has this crate of the toolkit only\n  \
             to see what a deploy would change, type: cargo xtask deploy ENV --plan-only"
        )));
    }
    std::env::set_current_dir(&root).with_context(|| format!("enter {root}"))?;
    let args = json.then(|| "--json".to_owned()).into_iter().chain(args.args);
    // Not `--quiet`: the first time, its dependencies are compiled for a minute.
    let error = cargo::exec_run(&["--package", "rehearsal"], args);
    Err(error.context("start cargo to build and run `rehearsal`").into())
}
