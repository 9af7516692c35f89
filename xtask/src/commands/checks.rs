//! `test` and `bench` are a program of their own, the crate `checks`, so that a deploy does not compile their dependencies.

use std::convert::Infallible;
use std::process::Command;

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::env;
use crate::failure::Failure;
use crate::tools::cargo;

/// The crate's manifest, in a project that has it.
const MANIFEST: &str = "xtask/checks/Cargo.toml";

/// What compiles `checks` and the tests: clippy's driver is the compiler, and lints what it compiles. A run of clippy would compile
/// all dependencies once more.
pub const COMPILER: (&str, &str) = ("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");

/// The end of the help of `test`, here and in `checks`.
pub const TEST_EXAMPLES: &str = "Examples:
  cargo xtask test
  cargo xtask test --only format --only lint
  CI=true cargo xtask test        a test that cannot run here fails instead of being skipped";

/// The end of the help of `bench`, here and in `checks`.
pub const BENCH_EXAMPLES: &str = "Examples:
  cargo xtask bench
  cargo xtask bench --only help --only no-op

A missed goal is marked, but is no failure: the exit code is 0 if everything was measured.";

/// Arguments for `checks`, including `--help`.
#[derive(Args, Debug)]
pub struct ChecksArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Has cargo build `checks`, with the features that its tests are compiled with, and replaces this process by it: signals and the
/// exit code are those of `checks`.
pub async fn become_checks(command: &str, args: ChecksArgs, json: bool) -> Result<Infallible, Failure> {
    let root = env::find_root().map_err(Failure::Usage)?;
    if !root.join(MANIFEST).exists() {
        return Err(Failure::Usage(anyhow!(
            "{root} has no {MANIFEST}: `cargo xtask {command}` works in the toolkit's own repository only\n  \
             to test this project, type: cargo test"
        )));
    }
    std::env::set_current_dir(&root).with_context(|| format!("enter {root}"))?;
    let args = [command.to_owned()].into_iter().chain(json.then(|| "--json".to_owned())).chain(args.args);
    let (variable, compiler) = COMPILER;
    let build = |build: &mut Command| {
        build.args(["--workspace", "--bin", "checks"]).env(variable, compiler);
    };
    Ok(cargo::become_built(&root, build, "checks", args).await?)
}
