//! A burst of a bucket's events, until a worker has acted on all of them.

use std::time::Instant;

use anyhow::{Result, ensure};
use devservers::Moto;
use devservers::moto::{BUCKET, REGION};
use serde_json::json;

use super::queue::{PATIENCE, PAUSE, without_worker};
use super::service::Media;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;
use crate::bench::turns::Turns;

/// Events at once.
const EVENTS: usize = 10_000;

/// Events in a message of S3, and messages in a request.
const TOGETHER: usize = 10;

/// Repeated events of uploads that are settled: the worker looks each up and deletes its message.
pub async fn burst(scratch: &Scratch) -> Result<Row> {
    let (moto, spool) = (Moto::start()?, tempfile::tempdir()?);
    let uploads = moto.uploads(5)?;
    let settings = [
        without_worker(),
        ("STORAGE_BACKEND", "s3".to_owned()),
        ("S3_BUCKET", BUCKET.to_owned()),
        ("S3_REGION", REGION.to_owned()),
        ("S3_ENDPOINT", moto.endpoint()),
        ("S3_ACCESS_KEY_ID", "id".to_owned()),
        ("S3_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("SPOOL_DIR", spool.path().display().to_string()),
        ("QUEUE_URL", uploads.queue.clone()),
    ];
    let media = Media::start(scratch, &settings).await?;
    let record = |number: usize| {
        let key = format!("uploads/01ARZ3NDEKTSV4RRFF{number:08}");
        json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": BUCKET }, "object": { "key": key } } })
    };
    let messages = (0..EVENTS).step_by(TOGETHER).map(|first| {
        let records: Vec<_> = (first..first + TOGETHER).map(record).collect();
        json!({ "Records": records }).to_string()
    });
    let messages: Vec<_> = messages.collect();
    let began = Instant::now();
    for some in messages.chunks(TOGETHER) {
        uploads.send(some)?;
    }
    let sent = began.elapsed();
    ensure!(uploads.left()? == messages.len() as u64, "the queue has {} messages", uploads.left()?);

    let worker = media.worker(scratch, 0)?;
    let began = Instant::now();
    while uploads.left()? > 0 {
        ensure!(began.elapsed() < PATIENCE, "messages are left after {PATIENCE:?}: {:?}", worker.lines());
        tokio::time::sleep(PAUSE * 10).await;
    }
    let took = began.elapsed();
    let what = format!(
        "{EVENTS} repeated events in {} messages at once, until a worker on one processor has acted on all, against sending them",
        messages.len()
    );
    let notes = vec![format!("{:.0} events a second", EVENTS as f64 / took.as_secs_f64())];
    Ok(Row { what, turns: Turns::once(took, sent), goals: Vec::new(), notes })
}
