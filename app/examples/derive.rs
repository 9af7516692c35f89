//! Derives the small pictures of the files that standard input names, one a line, as the service does: in a child with its
//! limits. Tells of each on a line what it took in seconds, and the most memory that the child had, in KiB.
//! `cargo xtask bench` runs it.
//!
//! The argument is the service's program. The picture for the clipboard is put beside the file, with `.clipboard.png` added.

use std::{io::Write as _, path::PathBuf, time::Instant};

use anyhow::Context as _;
use app::process::{ImageLimits, ProcessSettings, Processes};

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut settings = ProcessSettings::new(std::env::temp_dir(), 1, None);
    settings.program = std::env::args_os().nth(1).context("the argument is the service's program")?.into();
    let processes = Processes::start(settings).await;
    for line in std::io::stdin().lines() {
        let path = PathBuf::from(line?);
        let began = Instant::now();
        let image = processes.image(&path, LIMITS).await?;
        let seconds = began.elapsed().as_secs_f64();
        let mut beside = path.into_os_string();
        beside.push(".clipboard.png");
        fs_err::write(beside, image.clipboard)?;
        println!("{seconds} {}", peak()?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Of the child that waits for the next picture; 0 if none does.
fn peak() -> anyhow::Result<u64> {
    let own = std::process::id().to_string();
    let statuses = fs_err::read_dir("/proc")?.flatten();
    let statuses = statuses.filter_map(|entry| fs_err::read_to_string(entry.path().join("status")).ok());
    let peaks = statuses.filter_map(|status| {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        (field("PPid:") == Some(&own)).then(|| field("VmHWM:")?.parse::<u64>().ok()).flatten()
    });
    Ok(peaks.max().unwrap_or(0))
}
