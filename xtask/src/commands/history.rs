//! `history`

mod show;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use self::show::ShowArgs;
use super::{Context, EnvironmentArg};
use crate::failure::Failure;
use crate::report::seconds;
use crate::state::history::{self, Kind, NewestFirst, Record};

/// List every deploy and rollback, newest first
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo xtask history
  cargo xtask history local --json | head -1
  cargo xtask history show 3f9c2d"
)]
pub struct HistoryArgs {
    #[command(subcommand)]
    command: Option<History>,
    #[command(flatten)]
    environment: EnvironmentArg,
    /// The number of entries to show
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT")]
    lines: usize,
}

/// `history …`
#[derive(Subcommand, Debug)]
enum History {
    /// Show everything that the record of one deploy says
    Show(ShowArgs),
}

impl HistoryArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        if let Some(History::Show(args)) = self.command {
            return args.run(context).await;
        }
        let env = &context.env(&self.environment.environment)?;
        let (name, store) = (env.name(), env.store()?);
        let mut records = NewestFirst::of(store);
        let mut newest = Vec::new();
        while newest.len() < self.lines
            && let Some(record) = records.next().await?
        {
            newest.push(record);
        }
        if newest.is_empty() && self.lines > 0 {
            env.report.note(&format!("nothing was deployed to {name} yet; type: cargo xtask deploy {name}"));
        }
        let serving = history::live(store).await?.map(|live| live.id);
        for record in newest {
            let detail = serde_json::to_value(&record).context("write the record as JSON")?;
            // The subject of a commit is not the toolkit's.
            env.report.excerpt(detail, &history_line(&record, serving.as_ref() == Some(&record.id)));
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
