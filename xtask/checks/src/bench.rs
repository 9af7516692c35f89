//! What the toolkit costs. Each measurement runs in turn with a reference that does the same without the toolkit, so what
//! this machine is and does meanwhile is in both, and their ratio is what compares between machines. A goal that is missed
//! is marked, and is no error.

mod by_hand;
mod deployed;
mod images;
mod load;
mod measure;
mod rehearsed;
mod released;
mod scratch;
mod stacks;
mod table;
mod turns;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use self::scratch::Scratch;
use self::table::Row;
use xtask::commands::Context;
use xtask::commands::checks::BENCH_EXAMPLES;
use xtask::failure::Failure;
use xtask::report::Report;

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measurement {
    /// `--help`
    Help,
    /// `render --check` of files that are up to date
    RenderCheck,
    /// A deploy with nothing to do
    NoOp,
    /// What a deploy of a changed source line takes beside the compiler
    Change,
    /// The first build of the toolkit, with its dependencies downloaded
    ColdBuild,
    /// `image build` of a changed source line, against a plain Dockerfile
    ImageRebuild,
    /// `image build` of a changed source line, against `docker build`
    ImageBuild,
    /// `image build` of an image that exists
    ImageNoOp,
    /// The files that a build is given
    ImageContext,
    /// The longest that a client waits while one release takes over from another
    Switch,
    /// `tofu plan` of a stack of 25 resources with changes, against OpenTofu's own
    TofuPlan,
    /// `tofu plan` of such a stack without changes
    TofuNoOp,
    /// `drift` of such a stack that has not drifted
    Drift,
    /// `release create` of a commit, GitHub taking 40 ms for an answer
    ReleaseCreate,
    /// A plan of 10,000 changes read and summarised
    TofuSummary,
    /// A rehearsal, and of its deploys to a stack one, one with nothing to do, and the way back
    Rehearsal,
}

/// Measure the toolkit, as ratios against a reference that runs beside it
#[derive(Args, Debug)]
#[command(after_help = BENCH_EXAMPLES)]
pub struct BenchArgs {
    /// Only this measurement; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<Measurement>,
}

impl BenchArgs {
    /// Runs the command on a clone of the commit that is checked out, and prints a table. The clone and what runs in it are
    /// gone afterwards; what was compiled is kept for the next time.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let Context { config, report, stop } = *context;
        let only = &self.only;
        let chosen = |measurement: &Measurement| only.is_empty() || only.contains(measurement);
        let chosen: Vec<Measurement> = Measurement::value_variants().iter().copied().filter(chosen).collect();
        let scratch = Scratch::make(config, report, stop).await?;
        let measured = measure(&chosen, &scratch, report);
        let measured = stop.cancels("the clone that was measured is removed", measured).await;
        let removed = scratch.remove().await.context("remove what was measured on");
        match (measured, removed) {
            (Ok(rows), removed) => {
                table::print(&rows, report);
                Ok(removed?)
            }
            (Err(failure), removed) => {
                if let Err(also) = removed {
                    report.warn(&format!("{also:#}"));
                }
                Err(failure)
            }
        }
    }
}

async fn measure(chosen: &[Measurement], scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>, Failure> {
    let mut rows = Vec::new();
    for measurement in chosen {
        let name = measurement.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        report.note(&format!("{name}: begins"));
        let row = match measurement {
            Measurement::Rehearsal => {
                rows.extend(rehearsed::rehearsal(scratch, report).await.with_context(|| format!("measure {name}"))?);
                continue;
            }
            Measurement::Help => measure::help(scratch).await,
            Measurement::RenderCheck => measure::render_check(scratch).await,
            Measurement::NoOp => measure::no_op(scratch, report).await,
            Measurement::Change => measure::change(scratch, report).await,
            Measurement::ColdBuild => measure::cold_build(scratch, report).await,
            Measurement::ImageRebuild => images::rebuild(scratch, report).await,
            Measurement::ImageBuild => images::same_file(scratch, report).await,
            Measurement::ImageNoOp => images::no_op(scratch, report).await,
            Measurement::ImageContext => images::context(report).await,
            Measurement::Switch => measure::switch(scratch, report).await,
            Measurement::TofuPlan => stacks::plan(scratch, report).await,
            Measurement::TofuNoOp => stacks::no_op(scratch, report).await,
            Measurement::Drift => stacks::drift(scratch, report).await,
            Measurement::ReleaseCreate => Box::pin(released::create(scratch, report)).await,
            Measurement::TofuSummary => stacks::summary(report).await,
        };
        let row = row.with_context(|| format!("measure {name}"))?;
        rows.push((name, row));
    }
    Ok(rows)
}

/// What to say of a measurement in which it matters how this program was compiled.
fn built() -> &'static str {
    if cfg!(debug_assertions) { " (debug build)" } else { "" }
}
