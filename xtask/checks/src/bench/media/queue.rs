//! The queue of jobs: what a claim takes, and what a second worker adds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::served::PHOTOGRAPH;
use super::service::Media;
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;
use xtask::tools::postgres::Client;

/// Media that are derived anew for each measurement.
const MEDIA: usize = 40;

/// How long their jobs may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How often the queue is looked at.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

const JOBS: &str = "INSERT INTO job (media, kind) SELECT id, 'process' FROM media";

/// Media that wait for a worker.
const QUEUED: &str = "INSERT INTO media (id, status, name, uploader)
    SELECT '01ARZ3NDEKTSV4RRFF' || lpad(n::text, 8, '0'), 'pending', n::text, account.id
    FROM generate_series(1, 10000) AS n, account;
    INSERT INTO job (media, kind, due_at) SELECT id, 'process', now() - interval '1 hour' FROM media;
    ANALYZE job;";

/// Claims in one measurement.
const CLAIMS: u32 = 200;

/// What sqlx keeps of a query.
#[derive(Deserialize)]
struct Prepared {
    query: String,
}

/// Jobs that two workers do, each on a processor of its own, against one worker.
pub async fn workers(scratch: &Scratch, report: &Report) -> Result<Row> {
    let media = Media::start(scratch, &[without_worker()]).await?;
    let photograph = fs_err::read(PHOTOGRAPH).context("a photograph to add: apt-get install mate-backgrounds")?;
    for number in 0..MEDIA as u64 {
        media.upload(&[photograph.as_slice(), &number.to_le_bytes()].concat())?;
    }
    let client = media.client().await?;
    let work = async |processors: &[usize]| {
        let workers: Result<Vec<_>> = processors.iter().map(|processor| media.worker(scratch, *processor)).collect();
        let workers = workers?;
        let began = Instant::now();
        client.batch_execute(JOBS).await?;
        while client.query_one("SELECT count(*) FROM job", &[]).await?.get::<_, i64>(0) > 0 {
            ensure!(began.elapsed() < PATIENCE, "jobs are left after {PATIENCE:?}: {:?}", workers[0].lines());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(began.elapsed())
    };
    let turns = Turns::take(3, async || work(&[0, 1]).await, async || work(&[0]).await, said(report)).await?;
    let what = format!("{MEDIA} photographs derived anew by two workers of a processor each, against one");
    Ok(Row { what, turns, goals: vec![Goal::Times(1.0 / 1.8)], notes: Vec::new() })
}

/// The service's own query for a claim, with 10,000 jobs in the queue, against a query that reads nothing.
pub async fn claim(scratch: &Scratch, report: &Report) -> Result<Row> {
    let media = Media::start(scratch, &[without_worker()]).await?;
    media.sql(QUEUED).await?;
    let client = media.client().await?;
    let query = claim_query(scratch)?;
    client
        .batch_execute(&format!("PREPARE claim (text, uuid, float8) AS {query}; PREPARE nothing AS SELECT 1"))
        .await?;
    let claim = "EXECUTE claim('process', gen_random_uuid(), 60)";
    let turns = Turns::take(
        5,
        async || each(&client, claim).await,
        async || each(&client, "EXECUTE nothing").await,
        said(report),
    );
    let what = "a claim from 10,000 queued jobs, against a query that reads nothing".to_owned();
    let turns = turns.await?;
    let left: i64 = client.query_one("SELECT count(*) FROM job WHERE claim IS NULL", &[]).await?.get(0);
    ensure!(left == 10_000 - i64::from(6 * CLAIMS), "{left} jobs are not claimed");
    Ok(Row { what, turns, goals: vec![Goal::Within(Duration::from_millis(2))], notes: Vec::new() })
}

/// The service does no jobs of the queue itself.
pub(super) fn without_worker() -> (&'static str, String) {
    ("EMBEDDED_WORKER", "off".to_owned())
}

async fn each(client: &Client, statement: &str) -> Result<Duration> {
    let began = Instant::now();
    for _ in 0..CLAIMS {
        client.batch_execute(statement).await?;
    }
    Ok(began.elapsed() / CLAIMS)
}

/// It is known by what it does: it skips what others have locked, and gives out the media of one job.
fn claim_query(scratch: &Scratch) -> Result<String> {
    for file in fs_err::read_dir(scratch.root().join(".sqlx"))? {
        let path = file?.path();
        let text = fs_err::read_to_string(&path)?;
        let Ok(Prepared { query }) = serde_json::from_str(&text) else { continue };
        if query.contains("UPDATE job") && query.contains("SKIP LOCKED LIMIT 1") {
            return Ok(query);
        }
    }
    anyhow::bail!("the service has no query that claims a job")
}
