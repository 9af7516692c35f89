//! Photographs from their upload until they are ready: what a person waits for who adds many.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use devservers::pyvips;

use super::asked::Asked;
use super::pictures::VIPS;
use super::served::PHOTOGRAPH;
use super::service::{Media, upload};
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// How many are uploaded for each measurement, and how many at a time.
const UPLOADS: (usize, usize) = (80, 4);

/// Uploads photographs until each is ready, against two processes of libvips that make both small pictures of as many files.
pub async fn until_ready(scratch: &Scratch, report: &Report) -> Result<Row> {
    let media = Media::start(scratch, &[]).await?;
    let photograph = fs_err::read(PHOTOGRAPH).context("a photograph to add: apt-get install mate-backgrounds")?;
    let mut number = 0_u64;
    let ours = async || {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..UPLOADS.1)
                .map(|_| {
                    number += UPLOADS.0 as u64;
                    let (first, media, photograph) = (number, &media, &photograph);
                    scope.spawn(move || add(media, photograph, first))
                })
                .collect();
            senders.into_iter().try_for_each(|sender| sender.join().ok().context("a sender ends")?)
        })?;
        Ok(began.elapsed())
    };
    let theirs = async || {
        let mut processes = [vips()?, vips()?];
        // Started and warm before the time begins, as the service is.
        for process in &mut processes {
            derive(process, Path::new(PHOTOGRAPH), 1)?;
        }
        let began = Instant::now();
        std::thread::scope(|scope| {
            let both: Vec<_> = processes
                .iter_mut()
                .map(|process| scope.spawn(move || derive(process, Path::new(PHOTOGRAPH), UPLOADS.0 / 2)))
                .collect();
            both.into_iter().try_for_each(|process| process.join().ok().context("libvips ends")?)
        })?;
        Ok(began.elapsed())
    };
    let turns = Turns::take(3, ours, theirs, said(report)).await?;
    let rate = UPLOADS.0 as f64 / turns.measured.median().as_secs_f64();
    let what = format!(
        "{} photographs of 3.7 megapixels, {} at a time, until each is ready, against two pyvips processes without a service",
        UPLOADS.0, UPLOADS.1
    );
    Ok(Row { what, turns, goals: vec![Goal::Times(1.0 / 1.5)], notes: vec![format!("{rate:.1} a second")] })
}

/// Sends one sender's share. Each file is another: what is behind a JPEG's end belongs to no picture.
fn add(media: &Media, photograph: &[u8], first: u64) -> Result<()> {
    for number in first..first + (UPLOADS.0 / UPLOADS.1) as u64 {
        let file = [photograph, &number.to_le_bytes()].concat();
        let answer = upload(&media.address, &media.token, &file)?;
        // 202 would be one that is not ready yet.
        ensure!(answer.status == 201, "{}: {}", answer.status, answer.text());
    }
    Ok(())
}

fn vips() -> Result<Asked> {
    let mut vips = pyvips::python(VIPS)?;
    vips.env("VIPS_CONCURRENCY", "1");
    Asked::start(vips)
}

fn derive(process: &mut Asked, file: &Path, times: usize) -> Result<()> {
    for _ in 0..times {
        process.ask(&format!("derive\t{}", file.display()))?;
    }
    Ok(())
}
