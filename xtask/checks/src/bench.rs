//! What the toolkit and the service cost. Each measurement runs in turn with a reference that does the same without them, so what
//! this machine is and does meanwhile is in both, and their ratio is what compares between machines. A goal that is missed
//! is marked, and is no error.

mod by_hand;
mod deployed;
mod host;
mod images;
mod installed;
mod load;
mod measure;
mod media;
mod rehearsed;
mod released;
mod scratch;
mod stacks;
mod table;
mod turns;
mod web;

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
    /// `cargo install` of the program `cutover`
    Install,
    /// The size of the program as it is released
    InstalledSize,
    /// `--help` of the installed program
    InstalledHelp,
    /// A deploy with nothing to do in another repository, by the installed program
    InstalledNoOp,
    /// `image build` of a changed source line, against a plain Dockerfile
    ImageRebuild,
    /// `image build` of a changed source line, against `docker build`
    ImageBuild,
    /// `image build` of an image that exists
    ImageNoOp,
    /// The files that a build is given
    ImageContext,
    /// A deploy of a changed image to a Docker host, against Docker's own commands and against Docker Compose
    Host,
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
    /// The media service's start, and its memory
    MediaStart,
    /// Small pictures of each format, against libvips
    MediaPictures,
    /// Originals and thumbnails on 50 connections, against nginx
    MediaFiles,
    /// Lists and searches over 1,000,000 media, 50 in flight
    MediaLists,
    /// 64 uploads of 20 MB at once, against a plain receiver
    MediaUploads,
    /// Uploaded photographs until each is ready, against two processes of libvips
    MediaReady,
    /// A queue that two workers do, against one
    MediaWorkers,
    /// A claim from a queue of 10,000 jobs
    MediaClaim,
    /// Uploads past the service: URLs, parts, events, and their pictures
    MediaPresigned,
    /// The gallery of 100,000 media in a browser
    WebGallery,
    /// Lighthouse's scores of the gallery
    WebLighthouse,
    /// A rehearsal, and of its deploys to a stack one, one with nothing to do, and the way back
    Rehearsal,
}

/// Measure the toolkit and the service, as ratios against a reference that runs beside
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
        let one = |row: Row| vec![(name.clone(), row)];
        let measured = match measurement {
            Measurement::Help => measure::help(scratch).await.map(one),
            Measurement::RenderCheck => measure::render_check(scratch).await.map(one),
            Measurement::NoOp => measure::no_op(scratch, report).await.map(one),
            Measurement::Change => measure::change(scratch, report).await.map(one),
            Measurement::ColdBuild => measure::cold_build(scratch, report).await.map(one),
            Measurement::Install => installed::install(scratch, report).await.map(one),
            Measurement::InstalledSize => installed::size(scratch, report).await.map(one),
            Measurement::InstalledHelp => installed::help(scratch, report).await.map(one),
            Measurement::InstalledNoOp => installed::no_op(scratch, report).await.map(one),
            Measurement::ImageRebuild => images::rebuild(scratch, report).await.map(one),
            Measurement::ImageBuild => images::same_file(scratch, report).await.map(one),
            Measurement::ImageNoOp => images::no_op(scratch, report).await.map(one),
            Measurement::ImageContext => images::context(report).await.map(one),
            Measurement::Host => Box::pin(host::deploys(scratch, report)).await,
            Measurement::Switch => measure::switch(scratch, report).await.map(one),
            Measurement::TofuPlan => stacks::plan(scratch, report).await.map(one),
            Measurement::TofuNoOp => stacks::no_op(scratch, report).await.map(one),
            Measurement::Drift => stacks::drift(scratch, report).await.map(one),
            Measurement::ReleaseCreate => Box::pin(released::create(scratch, report)).await.map(one),
            Measurement::TofuSummary => stacks::summary(report).await.map(one),
            Measurement::MediaStart => media::start(scratch, report).await.map(one),
            Measurement::MediaPictures => media::by_format(scratch, report).await,
            Measurement::MediaFiles => media::files(scratch, report).await,
            Measurement::MediaLists => media::lists(scratch, report).await,
            Measurement::MediaUploads => media::at_once(scratch, report).await.map(one),
            Measurement::MediaReady => media::until_ready(scratch, report).await.map(one),
            Measurement::MediaWorkers => media::workers(scratch, report).await.map(one),
            Measurement::MediaClaim => media::claim(scratch, report).await.map(one),
            Measurement::MediaPresigned => Box::pin(media::presigned(scratch, report)).await,
            Measurement::WebGallery => web::gallery(scratch, report).await.map(one),
            Measurement::WebLighthouse => web::lighthouse(scratch, report).await.map(one),
            Measurement::Rehearsal => rehearsed::rehearsal(scratch, report).await,
        };
        rows.extend(measured.with_context(|| format!("measure {name}"))?);
    }
    Ok(rows)
}

/// What to say of a measurement in which it matters how this program was compiled.
fn built() -> &'static str {
    if cfg!(debug_assertions) { " (debug build)" } else { "" }
}
