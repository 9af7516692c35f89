//! The files in which a postmaster leaves its process id, and when they lie.
//!
//! PostgreSQL refuses to start while the process of such a file lives. After a crash of the machine that process may be
//! anything: numbers come again. It is the postmaster only if its command line names the data folder, as pg_ctl's does.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::place::Place;
use crate::tools::platform;

/// Whether the process that the data folder's file names is this folder's postmaster.
pub(super) async fn postmaster_lives(place: &Place) -> bool {
    let data = place.data();
    match pid_in(&data.join("postmaster.pid")) {
        Some(pid) => is_postmaster_of(pid, &data).await,
        None => false,
    }
}

/// Removes the files of a postmaster that is gone. PostgreSQL does so itself only where nobody has the number: neither
/// another process nor a dead one that nobody has waited for, as in containers without an init.
pub(super) async fn remove_stale(place: &Place) -> Result<()> {
    let data = place.data();
    for file in [data.join("postmaster.pid"), Utf8PathBuf::from(format!("{}.lock", place.socket()))] {
        if let Some(pid) = pid_in(&file)
            && !is_postmaster_of(pid, &data).await
        {
            fs_err::remove_file(&file)?;
        }
    }
    Ok(())
}

async fn is_postmaster_of(pid: i32, data: &Utf8Path) -> bool {
    let line = platform::command_line(pid).await.unwrap_or_default() + " ";
    line.contains("postgres") && line.contains(&format!(" -D {data} "))
}

/// The first line; a negative number is that of a server in single-user mode.
fn pid_in(file: &Utf8Path) -> Option<i32> {
    let pid: i32 = fs_err::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()?;
    Some(pid.abs())
}
