//! Uploads and downloads past the service: URLs for them, and the look for files that no client has told of.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use devservers::http::ask;
use devservers::{Versitygw, versitygw};
use serde_json::json;

use super::events::burst;
use super::parts::in_parts;
use super::queue::{PATIENCE, PAUSE, without_worker};
use super::service::Media;
use super::validated::validated;
use super::wrk::{CONNECTIONS, load, load_by};
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

const BUCKET: &str = "media";

/// Accounts with an API key each, which take turns. An account's uploads are counted with each new one, so there are as many accounts that
/// none has more of them than it may have by default.
const ACCOUNTS: &str =
    "INSERT INTO account (username, password_hash) SELECT 'n' || n, '' FROM generate_series(1, 2000) AS n;
    INSERT INTO api_key (account, name, token_sha256, scopes)
    SELECT id, username, sha256(('meemi_key_' || lpad(substr(username, 2), 64, '0'))::bytea), ARRAY['upload']
    FROM account WHERE password_hash = '';";

/// Asks for URLs, each time by the next account.
const CREATE: &str = "wrk.method = 'POST'
wrk.headers['Content-Type'] = 'application/json'
wrk.body = '{\"content_type\":\"image/jpeg\",\"file_name\":\"a.jpg\"}'
local account = 0
request = function()
  account = account % 2000 + 1
  wrk.headers['Authorization'] = string.format('Bearer meemi_key_%064d', account)
  return wrk.format()
end";

const READY: &str = "INSERT INTO media (id, status, name, mime_type, size, width, height, sha256, uploader)
    SELECT '01ARZ3NDEKTSV4RRFF' || lpad(n::text, 8, '0'), 'ready', 'a.jpg', 'image/jpeg', 1, 2, 2, sha256(n::text::bytea), account.id
    FROM generate_series(1, 50) AS n, account WHERE username = 'measured'";

/// Uploads that are looked for.
const PENDING: u32 = 100_000;

/// How often URLs of 50 media are asked for.
const BATCHES: usize = 200;

/// A row for the worker, one for a large file in parts, one for URLs of uploads, one for those of downloads, one for the look into the store,
/// and one for a burst of events.
pub async fn presigned(scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>> {
    let (store, spool) = (Versitygw::start()?, tempfile::tempdir()?);
    let bucket = store.bucket(BUCKET);
    let key = fs_err::read_to_string(scratch.root().join("app/tests/keys/cloudfront.pem"))?;
    let settings = [
        without_worker(),
        ("STORAGE_BACKEND", "s3".to_owned()),
        ("S3_BUCKET", BUCKET.to_owned()),
        ("S3_REGION", versitygw::REGION.to_owned()),
        ("S3_ENDPOINT", store.endpoint()),
        ("S3_ACCESS_KEY_ID", versitygw::ACCESS_KEY.to_owned()),
        ("S3_SECRET_ACCESS_KEY", versitygw::SECRET_KEY.to_owned()),
        ("SPOOL_DIR", spool.path().display().to_string()),
        ("MAX_PENDING_UPLOADS", "1000000".to_owned()),
        ("MAX_UPLOAD_BYTES", (2_u64 << 30).to_string()),
        ("CDN_URL", "https://d111111abcdef8.cloudfront.net".to_owned()),
        ("CDN_KEY_PAIR_ID", "K2JCJMDEHXQW5F".to_owned()),
        ("CDN_PRIVATE_KEY", key),
    ];
    let media = Media::start(scratch, &settings).await?;
    Ok(vec![
        // First, while no other upload is pending.
        ("validate".to_owned(), validated(scratch, &media, &store.endpoint(), report).await?),
        ("parts".to_owned(), in_parts(&media, &store.endpoint(), &bucket, report).await?),
        ("create".to_owned(), create(&media, report).await?),
        ("sign".to_owned(), sign(&media).await?),
        ("look".to_owned(), look(scratch, &media).await?),
        ("events".to_owned(), burst(scratch).await?),
    ])
}

async fn create(media: &Media, report: &Report) -> Result<Row> {
    media.sql(ACCOUNTS).await?;
    let url = format!("http://{}/api/image/v1/upload/create-presigned-url", media.address);
    let plain = format!("http://{}/api/health/liveness", media.address);
    let turns =
        Turns::take(3, async || Ok(load_by(CREATE, &url)?.each), async || Ok(load(&plain, None)?.each), said(report));
    let turns = turns.await?;
    let rate = 1.0 / turns.measured.median().as_secs_f64();
    Ok(Row {
        what: format!("each URL for an upload at {CONNECTIONS} connections, against an answer without a query"),
        turns,
        // 5,000 a second.
        goals: vec![Goal::Within(Duration::from_micros(200))],
        notes: vec![format!("{rate:.0} a second")],
    })
}

async fn sign(media: &Media) -> Result<Row> {
    media.sql(READY).await?;
    let ids: Vec<String> = (1..=50).map(|number| format!("01ARZ3NDEKTSV4RRFF{number:08}")).collect();
    let (body, bearer) = (json!({ "image_ids": ids }).to_string(), format!("Bearer {}", media.token));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let p95 = |method: &str, path: &str, body: &str| {
        let mut took = Vec::new();
        for _ in 0..BATCHES {
            let began = Instant::now();
            let answer = ask(&media.address, method, path, &headers, body)?;
            took.push(began.elapsed());
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        }
        took.sort();
        took.get(BATCHES * 95 / 100).copied().context("a batch was signed")
    };
    let turns = Turns::once(
        p95("POST", "/api/image/v1/download/get-signed-urls", &body)?,
        p95("GET", "/api/health/liveness", "")?,
    );
    let what = "50 URLs signed for CloudFront: 95th percentile, against an answer without a query".to_owned();
    Ok(Row { what, turns, goals: vec![Goal::Within(Duration::from_millis(40))], notes: Vec::new() })
}

async fn look(scratch: &Scratch, media: &Media) -> Result<Row> {
    let client = media.client().await?;
    client
        .batch_execute(&format!(
            "DELETE FROM presigned_upload;
             INSERT INTO media (id, status, name, declared_type, uploader, listed_at)
             SELECT '01ARZ3NDEKTSV4RRFG' || lpad(n::text, 8, '0'), 'pending', 'a.jpg', 'image/jpeg', account.id, 'epoch'
             FROM generate_series(1, {PENDING}) AS n, account WHERE username = 'measured';
             INSERT INTO presigned_upload (media, account, expires_at, look_at)
             SELECT id, uploader, now() + interval '1 day', now() - interval '1 hour' FROM media WHERE id LIKE '01ARZ3NDEKTSV4RRFG%';
             ANALYZE media, presigned_upload;"
        ))
        .await?;
    let worker = media.worker(scratch, 0)?;
    let began = Instant::now();
    let due = "SELECT count(*) FROM presigned_upload WHERE look_at <= now()";
    while client.query_one(due, &[]).await?.get::<_, i64>(0) > 0 {
        ensure!(began.elapsed() < PATIENCE, "uploads are left after {PATIENCE:?}: {:?}", worker.lines());
        tokio::time::sleep(PAUSE * 10).await;
    }
    let ours = began.elapsed();
    drop(worker);
    let began = Instant::now();
    client.batch_execute("UPDATE presigned_upload SET look_at = now()").await?;
    let turns = Turns::once(ours, began.elapsed());
    let what = format!(
        "{PENDING} pending uploads looked for in a bucket by a worker on one processor, against one statement that changes their rows"
    );
    Ok(Row { what, turns, goals: vec![Goal::Within(Duration::from_secs(60))], notes: Vec::new() })
}
