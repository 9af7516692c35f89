//! Photographs that clients have put into the store, until a worker has made each of them ready.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use devservers::http::ask;
use serde_json::{Value, json};

use super::asked::Asked;
use super::pictures::{build_derive, derive};
use super::queue::{PATIENCE, PAUSE};
use super::served::PHOTOGRAPH;
use super::service::Media;
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// Uploads for each measurement.
const UPLOADS: usize = 60;

/// Two workers of a processor each validate uploads and make them ready, against two children that make the small pictures of a file on the
/// disk, as often. `store` is the address of the media's bucket.
pub async fn validated(scratch: &Scratch, media: &Media, store: &str, report: &Report) -> Result<Row> {
    build_derive(scratch).await?;
    let photograph = fs_err::read(PHOTOGRAPH).context("a photograph to add: apt-get install mate-backgrounds")?;
    let client = media.client().await?;
    let mut number = 0_u64;
    let ours = async || {
        for _ in 0..UPLOADS {
            number += 1;
            // Each file is another: what is behind a JPEG's end belongs to no picture.
            put(media, store, &[photograph.as_slice(), &number.to_le_bytes()].concat())?;
        }
        let workers = [media.worker(scratch, 0)?, media.worker(scratch, 1)?];
        let began = Instant::now();
        client.batch_execute("INSERT INTO job (media, kind) SELECT media, 'process' FROM presigned_upload").await?;
        let left = "SELECT count(*) FROM job WHERE kind = 'process'";
        while client.query_one(left, &[]).await?.get::<_, i64>(0) > 0 {
            ensure!(began.elapsed() < PATIENCE, "uploads are left after {PATIENCE:?}: {:?}", workers[0].lines());
            tokio::time::sleep(PAUSE).await;
        }
        let took = began.elapsed();
        let ready: i64 = client.query_one("SELECT count(*) FROM media WHERE status = 'ready'", &[]).await?.get(0);
        ensure!(u64::try_from(ready) == Ok(number), "{ready} of {number} uploads are ready");
        Ok(took)
    };
    let folder = tempfile::tempdir()?;
    let files = ["0.jpg", "1.jpg"].map(|name| folder.path().join(name));
    for file in &files {
        fs_err::copy(PHOTOGRAPH, file)?;
    }
    let theirs = async || {
        let mut children = [Asked::start(derive(scratch))?, Asked::start(derive(scratch))?];
        // Started and warm before the time begins, as the workers are.
        for (child, file) in children.iter_mut().zip(&files) {
            child.ask(&file.display().to_string())?;
        }
        let began = Instant::now();
        std::thread::scope(|scope| {
            let both: Vec<_> = children
                .iter_mut()
                .zip(&files)
                .map(|(child, file)| {
                    let file = file.display().to_string();
                    scope.spawn(move || (0..UPLOADS / 2).try_for_each(|_| child.ask(&file).map(drop)))
                })
                .collect();
            both.into_iter().try_for_each(|child| child.join().ok().context("a child ends")?)
        })?;
        Ok(began.elapsed())
    };
    let turns = Turns::take(3, ours, theirs, said(report)).await?;
    let rate = UPLOADS as f64 / turns.measured.median().as_secs_f64();
    let what = format!(
        "{UPLOADS} photographs of 3.7 megapixels in a bucket, until two workers have validated, stored and made ready each, against their \
         small pictures alone"
    );
    Ok(Row { what, turns, goals: vec![Goal::Times(1.0 / 0.8)], notes: vec![format!("{rate:.1} a second")] })
}

/// Uploads a file past the service, which is not told.
fn put(media: &Media, store: &str, bytes: &[u8]) -> Result<()> {
    let body = json!({ "content_type": "image/jpeg", "file_name": "a.jpg" });
    let created = media.post("/api/image/v1/upload/create-presigned-url", &body)?;
    put_at(store, &created["upload_url"], "image/jpeg", bytes)
}

/// Sends bytes to a URL of the store that the service has signed.
pub(super) fn put_at(store: &str, url: &Value, content_type: &str, bytes: &[u8]) -> Result<()> {
    let path = url.as_str().and_then(|url| url.strip_prefix(store)).context("a URL of the store")?;
    let answer = ask(store, "PUT", path, &[("content-type", content_type)], bytes)?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(())
}
