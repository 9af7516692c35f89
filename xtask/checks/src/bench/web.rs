//! The web UI in a browser, with the service's own program and a library of 100,000 media.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;
use devservers::http::ask;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use xtask::report::Report;
use xtask::tools::cmd::{Cmd, Inherited};

use super::media::{Media, PHOTOGRAPH};
use super::scratch::{Scratch, free_port};
use super::table::{Goal, Row};
use super::turns::Turns;

const GALLERY: &str = include_str!("web/gallery.mjs");

const LIGHTHOUSE: &str = include_str!("web/lighthouse.mjs");

/// The packaged browser.
const BROWSER: &str = "/usr/bin/chromium";

/// So many of the newest media have a small picture: those that are scrolled past.
const SHOWN: u32 = 11_000;

/// Over two years, in pictures of many shapes.
const MANY: &str =
    "INSERT INTO media (id, status, name, tags, mime_type, size, width, height, sha256, uploader, listed_at)
    SELECT '01ARZ3NDEKTSV4RRFF' || lpad(n::text, 8, '0'), 'ready', 'IMG_' || n || '.jpg', ARRAY['t' || n % 500],
           'image/jpeg', 1, 3000 + n * 37 % 2500, 3000, sha256(n::text::bytea), account.id, now() - make_interval(mins => 10 * n)
    FROM generate_series(1, 100000) AS n, account;
    VACUUM ANALYZE media;";

#[derive(Deserialize)]
struct Seen {
    ready_seconds: Vec<f64>,
    frames: u64,
    dropped_share: f64,
    heap_mb: f64,
    heap_growth_mb: f64,
    interaction_ms: f64,
    interaction: String,
}

#[derive(Deserialize)]
struct Scored {
    scores: std::collections::BTreeMap<String, f64>,
    first_paint_seconds: f64,
    largest_paint_seconds: f64,
    poor: Vec<String>,
}

/// From the navigation until all pictures that are seen are there; frames, memory and answers to the user while 10,000 media are scrolled past.
pub async fn gallery(scratch: &Scratch, report: &Report) -> Result<Row> {
    let (folder, media) = start(scratch, report).await?;
    let seen: Seen = run(GALLERY, &[folder.as_str(), &origin(&media), &media.token, BROWSER]).await?;
    let mut ready = seen.ready_seconds;
    ready.sort_by(f64::total_cmp);
    let ready = *ready.get(ready.len() / 2).context("the page was timed")?;
    let goals = vec![
        Goal::Within(Duration::from_secs(1)),
        Goal::AtMost { what: "dropped", most: 0.05, took: seen.dropped_share },
        Goal::AtMost { what: "heap growth in MB", most: 5.0, took: seen.heap_growth_mb },
        Goal::AtMost { what: "answer in ms", most: 100.0, took: seen.interaction_ms },
    ];
    let notes = vec![
        format!(
            "of {} frames, {:.1} % were dropped while 10,000 media were scrolled past",
            seen.frames,
            100.0 * seen.dropped_share
        ),
        format!("heap: {:.1} MB, {:+.1} MB since 4,000 media", seen.heap_mb, seen.heap_growth_mb),
        format!(
            "the longest time from an input to the next paint: {:.0} ms ({})",
            seen.interaction_ms, seen.interaction
        ),
    ];
    let what = "a gallery of 100,000 media in Chromium until all pictures in the window are there, against the list that it asks for";
    let turns = Turns::once(Duration::from_secs_f64(ready), list(&media)?);
    Ok(Row { what: what.to_owned(), turns, goals, notes })
}

/// The scores that Lighthouse gives the same gallery, as on a desktop.
pub async fn lighthouse(scratch: &Scratch, report: &Report) -> Result<Row> {
    let tool = devservers::lighthouse::install()?;
    let tool = tool.to_str().context("the cache is not named in UTF-8")?;
    let (folder, media) = start(scratch, report).await?;
    let port = free_port()?.to_string();
    let scored: Scored =
        run(LIGHTHOUSE, &[tool, folder.as_str(), &origin(&media), &media.token, BROWSER, &port]).await?;
    let goals =
        [("performance", "performance"), ("accessibility", "accessibility"), ("best practices", "best-practices")];
    let goals = goals.map(|(what, name)| {
        let took = *scored.scores.get(name).with_context(|| format!("Lighthouse gave no score for {name}"))?;
        anyhow::Ok(Goal::AtLeast { what, least: 95.0, took })
    });
    let scores: Vec<String> = scored.scores.iter().map(|(name, score)| format!("{name} {score}")).collect();
    let mut notes = vec![scores.join(", ")];
    if !scored.poor.is_empty() {
        notes.push(format!("what could be better: {}", scored.poor.join("; ")));
    }
    let seconds = Duration::from_secs_f64;
    Ok(Row {
        what: "the gallery of 100,000 media until its largest paint as Lighthouse reckons it, against its first"
            .to_owned(),
        turns: Turns::once(seconds(scored.largest_paint_seconds), seconds(scored.first_paint_seconds)),
        goals: goals.into_iter().collect::<Result<_>>()?,
        notes,
    })
}

/// Builds the UI and starts the service with it and the library. Returns the folder of the UI, too.
async fn start(scratch: &Scratch, report: &Report) -> Result<(Utf8PathBuf, Media)> {
    let web = scratch.config.service.web.as_ref().context("the service has no web UI")?;
    let folder = scratch.root().join(web);
    if !folder.join("dist").exists() {
        report.detail("building the web UI");
        for arguments in [&["ci", "--no-progress"][..], &["run", "build"]] {
            Cmd::new("npm").inherits(Inherited::All).args(arguments.iter().copied()).dir(&folder).run().await?;
        }
    }
    let media = Media::start(scratch, &[("STATIC_DIR", folder.join("dist").to_string())]).await?;
    report.detail("making 100,000 media");
    let photograph = fs_err::read(PHOTOGRAPH).context("a photograph to show: apt-get install mate-backgrounds")?;
    let id = media.upload(&photograph)?["id"].as_str().context("an upload has an id")?.to_owned();
    // One after the other: no statement of a transaction can vacuum.
    for statement in MANY.split_inclusive(';') {
        media.sql(statement).await?;
    }
    let thumbnails = media.folder.path().join("thumbs");
    for number in 1..=SHOWN {
        fs_err::hard_link(
            thumbnails.join(format!("{id}.webp")),
            thumbnails.join(format!("01ARZ3NDEKTSV4RRFF{number:08}.webp")),
        )?;
    }
    media.sql(&format!("DELETE FROM media WHERE id = '{id}'")).await?;
    Ok((folder, media))
}

/// Runs a script. What it prints is what it has measured.
async fn run<T: DeserializeOwned>(script: &str, arguments: &[&str]) -> Result<T> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("measure.mjs");
    fs_err::write(&path, script)?;
    let path = path.to_str().context("the folder for temporary files is not named in UTF-8")?;
    let answer = Cmd::new("node").inherits(Inherited::All).arg(path).args(arguments.iter().copied()).capture().await?;
    serde_json::from_str(&answer).with_context(|| format!("read what was measured: {answer}"))
}

/// How long the first page of the list takes, without a browser.
fn list(media: &Media) -> Result<Duration> {
    let bearer = format!("Bearer {}", media.token);
    let began = Instant::now();
    let answer = ask(&media.address, "GET", "/api/media?limit=100", &[("authorization", &bearer)], "")?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(began.elapsed())
}

fn origin(media: &Media) -> String {
    format!("http://{}", media.address)
}
