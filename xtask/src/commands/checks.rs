//! `test` and `bench` are a program of their own, the crate `checks`: a deploy does not compile what only they need.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::anyhow;
use clap::Args;

use crate::env;
use crate::failure::Failure;
use crate::tools::cargo;

/// Where the crate is, in a project that has it.
const MANIFEST: &str = "xtask/checks/Cargo.toml";

/// What the help of `test` ends with, here and in `checks`.
pub const TEST_EXAMPLES: &str = "Examples:
  cargo xtask test
  cargo xtask test --only format --only lint
  CI=true cargo xtask test        what cannot run here is a failure, not a skip";

/// What the help of `bench` ends with, here and in `checks`.
pub const BENCH_EXAMPLES: &str = "Examples:
  cargo xtask bench
  cargo xtask bench --only help --only no-op

A goal that is missed is marked and is no failure: the exit code is 0 when everything was measured.";

/// Arguments that `checks` reads, `--help` among them.
#[derive(Args, Debug)]
pub struct ChecksArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Replaces this process by `cargo run --package checks`, so signals and the exit code are those of `checks`.
pub fn become_checks(command: &str, args: ChecksArgs, json: bool) -> Result<Infallible, Failure> {
    let root = env::find_root().map_err(Failure::Usage)?;
    if !root.join(MANIFEST).exists() {
        return Err(Failure::Usage(anyhow!(
            "{root} has no {MANIFEST}: `cargo xtask {command}` is for the repository of the toolkit\n  \
             what tests this project: cargo test"
        )));
    }
    let mut run = Command::new(cargo::program());
    for name in cargo::inherited() {
        run.env_remove(name);
    }
    run.args(["run", "--quiet", "--package", "checks"]);
    if !cfg!(debug_assertions) {
        run.arg("--release");
    }
    run.args(["--", command]).args(json.then_some("--json")).args(args.args);
    let error = run.current_dir(&root).exec();
    Err(anyhow::Error::new(error).context("start cargo, which builds and runs `checks`").into())
}
