//! A small disk, to be filled.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a size, gone at the end of the test.
pub struct Disk(pub PathBuf);

impl Disk {
    /// In place of this folder, empty. None where it takes rights that the test does not have.
    pub fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        fs_err::create_dir_all(folder).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder.to_owned()))
    }

    /// Leaves so many bytes.
    pub fn fill(&self, left: u64) {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let file = fs_err::File::create(self.0.join("filler")).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, free - left).unwrap();
    }

    /// All of it is free again.
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
