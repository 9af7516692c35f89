//! `history`

use anyhow::{Context as _, Result};
use clap::Args;

use super::{Context, EnvironmentArg};
use crate::failure::Failure;
use crate::report::seconds;
use crate::state::history::{self, Kind, Outcome, Record};

/// List every deploy and rollback, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask history
  cargo xtask history local --json | head -1")]
pub struct HistoryArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// The number of entries to show
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT")]
    lines: usize,
}

impl HistoryArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let (name, lines) = (env.name(), self.lines);
        let records = history::read_all(env.store()?).await?;
        if records.is_empty() {
            env.report.note(&format!("nothing was deployed to {name} yet; type: cargo xtask deploy {name}"));
        }
        let serving = records.iter().rfind(|record| record.outcome == Outcome::Live).map(|record| &record.id);
        for record in records.iter().rev().take(lines) {
            let detail = serde_json::to_value(record).context("write the record as JSON")?;
            env.report.result(detail, &history_line(record, serving == Some(&record.id)));
        }
        Ok(())
    }
}

fn history_line(record: &Record, serves: bool) -> String {
    let took = record.ended.duration_since(record.started).unsigned_abs();
    let kind = if record.kind == Kind::Rollback { " ⇠" } else { "" };
    let outcome = if serves { "serves" } else { record.outcome.words() };
    let why = record.error.as_ref().and_then(|error| error.lines().next()).unwrap_or_default();
    let subject = record.source.as_ref().map(|source| source.subject.as_str()).unwrap_or_default();
    let about = if why.is_empty() { subject } else { why };
    let when = record.ended.strftime("%Y-%m-%d %H:%M:%SZ");
    format!("{when}  {:<32} {outcome:<12} {:>9}  {about}", format!("{}{kind}", record.version()), seconds(took))
}
