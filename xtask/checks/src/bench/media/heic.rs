//! What small pictures of HEIC take. The wheel of libvips has no decoder for it, so the reference is the decoder alone.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use devservers::pyvips;

use super::asked::Asked;
use super::pictures::{SOURCE, VIPS, derived};
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (3840, 2160);

/// How often it is derived.
const TIMES: usize = 3;

/// A picture that `heif-enc` of libheif makes. The reference decodes it to plain bytes.
pub async fn small_pictures(ours: Command, folder: &Path, report: &Report) -> Result<Row> {
    let [png, heic, plain] = ["heic.png", "8.heic", "8.y4m"].map(|name| folder.join(name).display().to_string());
    let mut vips = Asked::start(pyvips::python(VIPS)?)?;
    vips.ask(&format!("make\t{png}\t{SOURCE}\t{}\t{}", SIZE.0, SIZE.1))?;
    run("heif-enc", &["--quality", "90", &png, "--output", &heic])?;
    let ours = RefCell::new(Asked::start(ours)?);
    let decoder = || {
        let began = Instant::now();
        run("heif-convert", &[&heic, &plain])?;
        Ok(began.elapsed())
    };
    let turns = Turns::take(TIMES, async || Ok(derived(&ours, &heic)?.0), async || decoder(), said(report)).await?;
    let alike = vips.ask(&format!("ssim\t{png}\t{heic}.clipboard.png"))?;
    let alike: f64 = alike.parse().context("read how alike both pictures are")?;
    let what = format!(
        "both small pictures of {}×{} pixels in a child with limits, against its decoder alone",
        SIZE.0, SIZE.1
    );
    let goals = vec![Goal::AtLeast { what: "SSIM", least: 0.98, took: alike }];
    let notes = vec![format!("SSIM of the larger one with the picture before it was HEIC: {alike:.4}")];
    Ok(Row { what, turns, goals, notes })
}

/// Runs a program of the package libheif-examples.
fn run(program: &str, args: &[&str]) -> Result<()> {
    let ran = Command::new(program).args(args).output();
    let ran = ran.with_context(|| format!("run {program}: apt-get install libheif-examples"))?;
    ensure!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}
