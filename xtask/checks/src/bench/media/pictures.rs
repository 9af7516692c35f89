//! What small pictures take, by format: the service's child with its limits against libvips in its own process.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use devservers::pyvips;

use super::asked::Asked;
use super::heic;
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// Makes and derives pictures by libvips.
pub(super) const VIPS: &str = include_str!("vips.py");

/// A photograph of 17.9 megapixels; the Debian package mate-backgrounds has it.
pub(super) const SOURCE: &str = "/usr/share/backgrounds/mate/abstract/Elephants_5640x3172.jpg";

/// What is measured: a file, and its size in pixels.
const PICTURES: [(&str, u32, u32); 9] = [
    ("8.jpg", 3840, 2160),
    ("18.jpg", 5640, 3172),
    ("24.jpg", 6000, 4000),
    ("24-progressive.jpg", 6000, 4000),
    ("8.png", 3840, 2160),
    ("8.webp", 3840, 2160),
    ("2.gif", 1920, 1080),
    ("8.tif", 3840, 2160),
    ("8.avif", 3840, 2160),
];

/// How often each is derived.
const TIMES: usize = 7;

/// A row for each picture.
pub async fn by_format(scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>> {
    ensure!(Path::new(SOURCE).exists(), "there is no photograph to measure: apt-get install mate-backgrounds");
    report.detail("building the service and the program that measures it; the first time, that compiles all of both");
    let build = ["build", "--release", "--package", &scratch.config.service.package];
    scratch.cargo().args(build).run().await?;
    build_derive(scratch).await?;
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for (name, width, height) in PICTURES {
        let file = folder.path().join(name);
        let file = file.to_str().context("the folder for temporary files is not named in UTF-8")?;
        let row =
            one(derive(scratch), file, (width, height), report).await.with_context(|| format!("measure {name}"))?;
        rows.push((name.to_owned(), row));
    }
    let row = heic::small_pictures(derive(scratch), folder.path(), report).await.context("measure 8.heic")?;
    rows.push(("8.heic".to_owned(), row));
    Ok(rows)
}

/// Builds the program that derives pictures as the service does, and nothing else.
pub(super) async fn build_derive(scratch: &Scratch) -> Result<()> {
    let build = ["build", "--release", "--package", &scratch.config.service.package, "--example", "derive"];
    scratch.cargo().args(build).run().await.context("build the program that derives pictures")?;
    Ok(())
}

/// That program, with the service's, whose child it needs.
pub(super) fn derive(scratch: &Scratch) -> Command {
    let program = scratch.program();
    let mut command = Command::new(program.with_file_name("examples").join("derive"));
    command.arg(program);
    command
}

async fn one(ours: Command, file: &str, (width, height): (u32, u32), report: &Report) -> Result<Row> {
    // One thread, as the service has for a picture.
    let mut vips = pyvips::python(VIPS)?;
    vips.env("VIPS_CONCURRENCY", "1");
    Asked::start(pyvips::python(VIPS)?)?.ask(&format!("make\t{file}\t{SOURCE}\t{width}\t{height}"))?;
    let tiny = format!("{file}.tiny.png");
    Asked::start(pyvips::python(VIPS)?)?.ask(&format!("make\t{tiny}\t{SOURCE}\t8\t8"))?;

    let (ours, theirs) = (RefCell::new(Asked::start(ours)?), RefCell::new(Asked::start(vips)?));
    // What a process has before its first picture of any size is no memory of the picture.
    let idle = [derived(&ours, &tiny)?.1, derived(&theirs, &format!("derive\t{tiny}"))?.1];
    let peaks = RefCell::new([0, 0]);
    let measure = |asked: &RefCell<Asked>, question: &str, side: usize| {
        let (took, peak) = derived(asked, question)?;
        peaks.borrow_mut()[side] = peak;
        Ok(took)
    };
    let question = format!("derive\t{file}");
    let turns =
        Turns::take(TIMES, async || measure(&ours, file, 0), async || measure(&theirs, &question, 1), said(report))
            .await?;
    let alike = theirs.borrow_mut().ask(&format!("ssim\t{file}\t{file}.clipboard.png"))?;
    let alike: f64 = alike.parse().context("read how alike both pictures are")?;
    let [ours, theirs] = [0, 1].map(|side| peaks.borrow()[side].saturating_sub(idle[side]) as f64 / 1024.0);
    let mut goals = vec![Goal::Times(0.8), Goal::AtLeast { what: "SSIM", least: 0.99, took: alike }];
    let mut notes = vec![format!("SSIM of the larger one with one of all pixels: {alike:.4}")];
    // A child that runs a program ends with it.
    if ours > 0.0 && theirs > 0.0 {
        goals.push(Goal::AtMost { what: "memory", most: 0.5, took: ours / theirs });
        notes.push(format!("memory over idle: {ours:.0} MiB, against {theirs:.0} MiB"));
    }
    let what = format!(
        "both small pictures of {width}×{height} pixels in a child with limits, against pyvips in its own process"
    );
    Ok(Row { what, turns, goals, notes })
}

/// How long it took, and the most memory until then, in KiB.
pub(super) fn derived(asked: &RefCell<Asked>, question: &str) -> Result<(Duration, u64)> {
    let answer = asked.borrow_mut().ask(question)?;
    let numbers = answer.split_once(' ').and_then(|(seconds, peak)| Some((seconds.parse().ok()?, peak.parse().ok()?)));
    let (seconds, peak) = numbers.with_context(|| format!("read the answer {answer:?}"))?;
    Ok((Duration::from_secs_f64(seconds), peak))
}
