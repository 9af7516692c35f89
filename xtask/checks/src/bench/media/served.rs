//! The running service: its start, its files against nginx, its lists with a million media.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use devservers::Nginx;

use super::service::Media;
use super::wrk::{CONNECTIONS, load};
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// A photograph of 1 MB and 3.7 megapixels; the Debian package mate-backgrounds has it.
pub const PHOTOGRAPH: &str = "/usr/share/backgrounds/mate/abstract/Elephants.jpg";

/// Of the original that is served, in bytes.
const ORIGINAL: usize = 2 << 20;

const MANY: &str =
    "INSERT INTO media (id, status, name, tags, mime_type, size, width, height, sha256, uploader, listed_at)
    SELECT '01ARZ3NDEKTSV4RRFF' || lpad(n::text, 8, '0'), 'ready', 'IMG_' || n || '.jpg', ARRAY['t' || n % 500],
           'image/jpeg', 1, 2, 2, sha256(n::text::bytea), account.id, now() - make_interval(secs => n)
    FROM generate_series(1, 1000000) AS n, account;
    VACUUM ANALYZE media;";

/// From the start of the process until it is ready, against the same program printing its help; and its memory then.
pub async fn start(scratch: &Scratch, report: &Report) -> Result<Row> {
    let (mut memory, mut own) = (0, 0);
    let ours = async || {
        let media = Media::start(scratch, &[]).await?;
        (memory, own) = (media.memory()?, media.own_memory()?);
        Ok(media.until_ready)
    };
    let help = async || {
        let began = Instant::now();
        let said = Command::new(scratch.program()).arg("--help").output().context("run the service's program")?;
        ensure!(said.status.success(), "the service's program has no help");
        Ok(began.elapsed())
    };
    let turns = Turns::take(5, ours, help, said(report)).await?;
    let what = "the media service, from the start of its process until it is ready, against its help".to_owned();
    let goals = vec![Goal::Within(Duration::from_millis(100)), Goal::Memory { most: 15_000_000, took: memory }];
    let [all, own] = [memory, own].map(|bytes| bytes as f64 / 1e6);
    let notes = vec![format!(
        "memory when it is ready: {all:.1} MB, of which {own:.1} MB are no part of a file, such as the program"
    )];
    Ok(Row { what, turns, goals, notes })
}

/// An original of 2 MB and a thumbnail, each on many connections against nginx.
pub async fn files(scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>> {
    let media = Media::start(scratch, &[]).await?;
    let mut photograph = fs_err::read(PHOTOGRAPH).context("a photograph to serve: apt-get install mate-backgrounds")?;
    // What is behind a JPEG's end belongs to no picture.
    photograph.resize(ORIGINAL, 0);
    let uploaded = media.upload(&photograph)?;
    let nginx = Nginx::start(media.folder.path())?;
    let mut rows = Vec::new();
    for (name, url) in [("original", "file_url"), ("thumbnail", "thumbnail_url")] {
        let path = uploaded[url].as_str().with_context(|| format!("an upload has a {url}"))?;
        let ours = format!("http://{}{path}", media.address);
        let key = path.trim_start_matches("/api/files/").split('?').next().unwrap_or_default();
        let theirs = format!("http://{}/{key}", nginx.address);
        let turns =
            Turns::take(3, async || Ok(load(&ours, None)?.each), async || Ok(load(&theirs, None)?.each), said(report));
        let what = format!("each {name} at {CONNECTIONS} connections, against nginx");
        // 0.6 of its rate.
        rows.push((
            name.to_owned(),
            Row { what, turns: turns.await?, goals: vec![Goal::Times(1.0 / 0.6)], notes: Vec::new() },
        ));
    }
    Ok(rows)
}

/// The 95th percentile of lists and searches, against that of an answer without a query.
pub async fn lists(scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>> {
    let media = Media::start(scratch, &[]).await?;
    report.detail("making a million media");
    // One after the other: no statement of a transaction can vacuum.
    for statement in MANY.split_inclusive(';') {
        media.sql(statement).await?;
    }
    let plain = format!("http://{}/api/health/liveness", media.address);
    let mut rows = Vec::new();
    for (name, query, goal) in [("list", "limit=50", 15), ("search", "q=img_199999&limit=50", 50)] {
        let url = format!("http://{}/api/media?{query}", media.address);
        let turns = Turns::take(
            3,
            async || Ok(load(&url, Some(&media.token))?.p95),
            async || Ok(load(&plain, None)?.p95),
            said(report),
        );
        let what = format!(
            "a {name} over 1,000,000 media, {CONNECTIONS} in flight: 95th percentile, against an answer without a query"
        );
        let goals = vec![Goal::Within(Duration::from_millis(goal))];
        rows.push((name.to_owned(), Row { what, turns: turns.await?, goals, notes: Vec::new() }));
    }
    Ok(rows)
}
