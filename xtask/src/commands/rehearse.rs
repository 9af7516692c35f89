//! `rehearse` is a program of its own, the crate `rehearsal`, so that a deploy does not compile its dependencies.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::failure::Failure;
use crate::tools::cargo::{self, Profile};
use crate::{PACKAGE, env};

/// The crate's manifest, in a project that has it.
const MANIFEST: &str = "xtask/rehearsal/Cargo.toml";

/// It and the programs that it runs.
const PACKAGES: [&str; 3] = ["rehearsal", PACKAGE, "standin"];

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

/// Has cargo build `rehearsal` with the programs that it runs, and replaces this process by it, so signals and the exit code are
/// those of `rehearsal`.
pub async fn become_rehearsal(args: RehearseArgs, json: bool) -> Result<Infallible, Failure> {
    let root = env::find_root().map_err(Failure::Usage)?;
    if !root.join(MANIFEST).exists() {
        return Err(Failure::Usage(anyhow!(
            "{root} has no {MANIFEST}: `cargo xtask rehearse` works in a project that has this crate of the toolkit only\n  \
             to see what a deploy would change, type: cargo xtask deploy ENV --plan-only"
        )));
    }
    let profile = if cfg!(debug_assertions) { Profile::Dev } else { Profile::Release };
    // In one build: cargo chooses the features of dependencies for all packages of a build together, and would compile them again
    // for each alone.
    let mut build = Command::new(cargo::program());
    for name in cargo::inherited() {
        build.env_remove(name);
    }
    build.arg("build").current_dir(&root).args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    build.args(["--features", &format!("{PACKAGE}/cloud")]);
    build.args((profile == Profile::Release).then_some("--release"));
    let built = build.status().context("start cargo to build `rehearsal`")?;
    if !built.success() {
        return Err(anyhow!("cargo could not build `rehearsal`, and says why above").into());
    }
    let program = cargo::built_program(&root, "rehearsal", profile).await?;
    let args = json.then(|| "--json".to_owned()).into_iter().chain(args.args);
    let error = Command::new(&program).args(args).exec();
    Err(anyhow!(error).context(format!("start {program}")).into())
}
