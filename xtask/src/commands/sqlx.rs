//! `sqlx`: the service's compiled-in queries and its migrations.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Context, EnvironmentArg, cloud};
use crate::env::Env;
use crate::failure::Failure;
use crate::report::{Report, Step};
use crate::sqlx::{self, Checked, Prepared, Problems, Schema};
use crate::state::history;
use crate::tools::sqlx::cache::Change;

/// `sqlx …`
#[derive(Subcommand, Debug)]
pub enum Sqlx {
    /// Migrate a temporary PostgreSQL and rewrite the query cache, .sqlx
    Prepare(SqlxArgs),
    /// Compare the query cache with a temporary PostgreSQL, and check new migrations on the released schema; change nothing
    Check(SqlxArgs),
}

/// Arguments of the `sqlx` commands.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask sqlx prepare     after a changed query or a new migration; commit .sqlx
  cargo xtask sqlx check       in CI

A migration is new if no live release had it; where no release is recorded, if the main branch lacks it. `check` looks at the new
ones: what they lock or rewrite, and whether the queries of the last release still hold (unless one is marked -- irreversible).
A finding is lifted above its statement by: -- squawk-ignore RULE -- REASON

The first time, the service's dependencies are compiled once more, in a target folder of their own: that takes minutes.")]
pub struct SqlxArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl Sqlx {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let (Self::Prepare(args) | Self::Check(args)) = &self;
        let env = &context.env(&args.environment.environment)?;
        let schema = &Schema::find(env)?.ok_or_else(|| Failure::Usage(not_used(env)))?;
        let live = history::live_records(&history::read_all(env.store()?).await?);
        let report = &env.report;
        report.headline(&format!("{} → {}   queries and migrations", env.config.project, env.name()));
        match self {
            Self::Prepare(_) => {
                let prepared =
                    report.step(Step::Sqlx, async |step| Ok(sqlx::prepare(schema, &live, step).await?)).await;
                let Prepared { queries, change, migrations, notices, .. } = show_problems(report, prepared)?;
                let Change { new, changed, gone } = change;
                report.notices(&notices);
                report.result(
                    json!({ "queries": queries, "new": new, "changed": changed, "gone": gone, "migrations": migrations }),
                    "",
                );
            }
            Self::Check(_) => {
                let base = schema.base(live).await?;
                // The linter is compiled with that feature: most projects have no new migration most of the time.
                if !cfg!(feature = "cloud") && !schema.new_scripts(&base.releases)?.is_empty() {
                    match cloud::become_full_build()? {}
                }
                let checked = report.step(Step::Sqlx, async |step| Ok(sqlx::check(schema, base, step).await?)).await;
                let Checked { queries, migrations, notices } = show_problems(report, checked)?;
                report.notices(&notices);
                report.result(json!({ "queries": queries, "migrations": migrations, "problems": [] }), "");
            }
        }
        Ok(())
    }
}

/// Shows the problems that a step failed with: as a result for programs. People see the error.
fn show_problems<T>(report: &Report, ended: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(Failure::Failed(error)) = &ended
        && let Some(problems) = Problems::of(error)
    {
        report.notices(&problems.notices);
        report.result(json!({ "problems": rows(problems) }), "");
    }
    ended
}

fn rows(problems: &Problems) -> Vec<Value> {
    let row = |problem: &sqlx::Problem| {
        let (file, line, column) = problem
            .at
            .clone()
            .map_or((None, None, None), |(file, line, column)| (Some(file), Some(line), Some(column)));
        json!({ "file": file, "line": line, "column": column, "text": problem.text })
    };
    problems.all.iter().map(row).collect()
}

fn not_used(env: &Env<'_>) -> anyhow::Error {
    let package = &env.config.service.package;
    match env.config.service.migrations {
        _ if env.config.service.command.is_some() => {
            anyhow!("deploy.yaml has a `service.command`, and only a cargo package has queries to check")
        }
        None => anyhow!("deploy.yaml names no migrations of {package}; add `migrations: <folder>` to its service"),
        Some(_) => anyhow!("Cargo.lock has no sqlx, so {package} has no queries to check"),
    }
}
