//! A small file system that a test can fill.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory. It is unmounted when this value is dropped.
pub struct Disk(pub PathBuf);

impl Disk {
    /// Mounts one, empty, over this folder. `None` if the test may not mount.
    pub fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        fs_err::create_dir_all(folder).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder.to_owned()))
    }

    /// Fills it until so many bytes are left.
    pub fn fill(&self, left: u64) {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let file = fs_err::File::create(self.0.join("filler")).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, free - left).unwrap();
    }

    /// Frees what [`Disk::fill`] took.
    pub fn make_room(&self) {
        fs_err::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What runs from it may still be ending.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}
