//! `app worker status` and `app worker redrive`: what waits for workers, while they work.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use sqlx::PgPool;

use crate::{
    db::{self, Keep},
    jobs::{self, Count},
    media::failures,
    queue::{Depth, Queue},
    settings::Settings,
};

#[derive(Subcommand)]
pub enum WorkerCommand {
    /// Show how many jobs and messages of the queue wait, are worked on and were given up
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Have all that was given up tried again: jobs, and messages of the dead-letter queue
    Redrive,
}

impl WorkerCommand {
    /// Runs the command with the settings of the environment.
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = Settings::from_env()?;
        let queue = Queue::open(&settings.storage);
        let db = db::connect(settings.database, Keep::None).await?;
        match self {
            Self::Status { json } => status(&db, &queue, json).await,
            Self::Redrive => redrive(&db, &queue).await,
        }
    }
}

async fn status(db: &PgPool, queue: &Queue, json: bool) -> anyhow::Result<()> {
    let jobs = jobs::count(db).await.context("cannot count the jobs")?;
    let depth = queue.depth().await.context("cannot look at the queue")?;
    if json {
        println!("{}", json!({ "jobs": jobs, "queue": depth }));
        return Ok(());
    }
    for Count { kind, state, jobs, oldest_seconds } in &jobs {
        let age = if state == "due" { format!(", the oldest for {oldest_seconds:.0} s") } else { String::new() };
        println!("{kind} jobs: {jobs} {state}{age}");
    }
    if jobs.is_empty() {
        println!("no jobs");
    }
    if let Some(Depth { waiting, in_flight, dead }) = depth {
        let dead = dead.map_or("no dead-letter queue".to_owned(), |dead| format!("{dead} in the dead-letter queue"));
        println!("messages: {waiting} waiting, {in_flight} in flight, {dead}");
    }
    Ok(())
}

async fn redrive(db: &PgPool, queue: &Queue) -> anyhow::Result<()> {
    let jobs = failures::retry_all(db).await.context("cannot have the jobs tried again")?;
    println!("{jobs} jobs are tried again");
    if let Queue::Sqs(sqs) = queue {
        let moved = sqs.redrive().await.context("cannot move the messages of the dead-letter queue")?;
        println!("{moved} messages moved from the dead-letter queue");
    }
    Ok(())
}
