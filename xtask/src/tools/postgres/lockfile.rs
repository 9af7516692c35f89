//! The files with a postmaster's process id, and whether they are stale.
//!
//! PostgreSQL refuses to start while a process has the id in such a file. After a crash of the machine, the id may belong to any
//! process. It is the postmaster's if the command line names the data folder, as pg_ctl's does.

use std::io::Read as _;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::layout::Layout;
use crate::fs::open_of;
use crate::tools::platform;

/// Whether the process id in the data folder belongs to its postmaster.
pub(super) async fn postmaster_lives(layout: &Layout) -> bool {
    let data = layout.data();
    match pid_in(&data.join("postmaster.pid"), layout.uid()) {
        Some(pid) => is_postmaster_of(pid, &data).await,
        None => false,
    }
}

/// Whether the postmaster has its socket in another folder: an earlier toolkit chose it, or it was removed.
pub(super) async fn listens_elsewhere(layout: &Layout) -> bool {
    let sockets = line_of(&layout.data().join("postmaster.pid"), layout.uid(), 5);
    sockets.is_some_and(|sockets| sockets != layout.sockets) && postmaster_lives(layout).await
}

/// Removes the files of a postmaster that has ended. PostgreSQL removes them only if no process has the id, not even a zombie,
/// which containers without an init keep.
pub(super) async fn remove_stale(layout: &Layout) -> Result<()> {
    let data = layout.data();
    for file in [data.join("postmaster.pid"), Utf8PathBuf::from(format!("{}.lock", layout.socket()))] {
        if let Some(pid) = pid_in(&file, layout.uid())
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

/// The process id in the first line of a file of this user. It is negative for a server in single-user mode.
fn pid_in(file: &Utf8Path, uid: u32) -> Option<i32> {
    let pid: i32 = line_of(file, uid, 1)?.parse().ok()?;
    Some(pid.abs())
}

fn line_of(file: &Utf8Path, uid: u32, number: usize) -> Option<String> {
    let mut text = String::new();
    open_of(file, uid).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text.lines().nth(number - 1)?.trim().to_owned())
}
