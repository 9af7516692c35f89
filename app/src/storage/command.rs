//! `app storage`: commands on the stored objects, while the service runs.

use anyhow::{Context as _, bail};
use clap::Subcommand;

use super::{
    Storage,
    check::{self, Finding, Problem},
    migrate::{self, Event},
};
use crate::{
    db::{self, Keep},
    settings::{Settings, StorageBackend},
};

#[derive(Subcommand)]
pub enum StorageCommand {
    /// Compare the table of media with the stored objects; exit with 1 if a difference remains
    Check {
        /// Delete objects that have no row for over an hour, derive missing thumbnails and pictures for the clipboard anew,
        /// and mark media as failed whose original is gone
        #[arg(long)]
        repair: bool,
        /// Print one JSON object a line: each difference, then the summary
        #[arg(long)]
        json: bool,
    },
    /// Copy all objects to another storage backend; exit with 1 if one could not be copied
    ///
    /// The settings of both backends must be in the environment. The service may run meanwhile: copy, set STORAGE_BACKEND and
    /// restart the service, and copy again what was uploaded in between. What is there already is not copied again.
    Migrate {
        /// Where the objects are
        #[arg(long)]
        from: StorageBackend,
        /// Where they are copied to
        #[arg(long)]
        to: StorageBackend,
    },
}

impl StorageCommand {
    /// Runs the command with the settings of the environment.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check { repair, json } => run_check(repair, json).await,
            Self::Migrate { from, to } => run_migrate(from, to).await,
        }
    }
}

async fn run_check(repair: bool, json: bool) -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let storage = Storage::open(&settings.storage).await.context("cannot open the storage")?;
    let db = db::connect(settings.database, Keep::None).await?;
    let print = |finding: &Finding| if json { print_json(finding) } else { println!("{}", line(finding)) };
    let summary = check::check(&db, &storage, repair, print).await?;
    let (media, objects, found, repaired) = (summary.media, summary.objects, summary.found, summary.repaired);
    if json {
        print_json(&summary);
    } else {
        println!("compared {media} media with {objects} objects: {found} differences, {repaired} repaired");
    }
    match found - repaired {
        0 => Ok(()),
        remaining if repair => bail!("{remaining} differences cannot be repaired automatically"),
        remaining => bail!("{remaining} differences; `app storage check --repair` repairs some kinds"),
    }
}

async fn run_migrate(from: StorageBackend, to: StorageBackend) -> anyhow::Result<()> {
    if from == to {
        bail!("--from and --to are the same storage backend");
    }
    let (source, target) = (Settings::from_env_with(from)?, Settings::from_env_with(to)?);
    let db = db::connect(source.database, Keep::None).await?;
    let from = Storage::open(&source.storage).await.context("cannot open the source")?;
    let to = Storage::open(&target.storage).await.context("cannot open the target")?;
    from.check().await.context("the source cannot be used")?;
    to.check().await.context("the target cannot be used")?;
    let done = migrate::migrate(&db, &from, &to, |event| match event {
        Event::Failed(key, error) => eprintln!("{key}: {error:#}"),
        Event::Progress(prefix, progress) => eprintln!(
            "{}: {} copied, {} were there, {} have no row, {} failed so far",
            prefix.as_str(),
            progress.copied,
            progress.present,
            progress.without_row,
            progress.failed
        ),
    });
    let done = done.await?;
    println!("copied {} objects; {} were there", done.copied, done.present);
    if done.without_row > 0 {
        println!("{} objects have no row and were not copied; see `app storage check`", done.without_row);
    }
    if done.failed > 0 {
        bail!("{} objects could not be copied; run the command again to try only these", done.failed);
    }
    Ok(())
}

fn line(finding: &Finding) -> String {
    let Finding { key, problem, repaired } = finding;
    let problem = match problem {
        Problem::Missing => "is missing: its media is ready",
        Problem::Damaged => "is damaged: its size is not that of its media",
        Problem::Orphaned => "is orphaned: it has no media",
        Problem::Foreign => "is foreign: its key is not one of this service",
    };
    format!("{key} {problem}{}", if *repaired { "; repaired" } else { "" })
}

fn print_json(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string(value).expect("structs of texts and numbers are JSON"));
}
