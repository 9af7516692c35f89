//! A disk that is full, or fills while a deploy is under way.

use std::path::PathBuf;
use std::process::Command;

use crate::common::{Project, machine, skipped};

/// A file system of this size as the project's `.deploy`, gone at the end of the test.
struct Disk(PathBuf);

impl Disk {
    fn mount(project: &Project, megabytes: u32) -> Option<Self> {
        let folder = project.root.join(".deploy");
        fs_err::create_dir_all(&folder).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    /// Leaves so many bytes.
    fn fill(&self, left: u64) {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let file = fs_err::File::create(self.0.join("filler")).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, free - left).unwrap();
    }

    fn make_room(&self) {
        fs_err::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What runs from it may still be ending.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_is_told_before_anything_changes() {
    let project = Project::new();
    let Some(disk) = Disk::mount(&project, 64) else {
        return skipped("a_full_disk_is_told_before_anything_changes", "it takes root, to mount a small file system");
    };
    project.run(&["deploy"]).expect(1).says(&["disk: 64 MB are free", "cargo clean"]);
    assert_eq!(fs_err::read_dir(&disk.0).unwrap().count(), 0);
}

#[test]
fn a_disk_that_fills_while_publishing_leaves_what_serves_and_the_next_deploy_works() {
    fills(100 << 10);
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_leaves_what_serves_and_the_next_deploy_works() {
    fills(0);
}

/// Fills the disk down to this many bytes while the build waits.
fn fills(left: u64) {
    let project = Project::new();
    let Some(disk) = Disk::mount(&project, 800) else {
        return skipped(
            &format!("a disk that fills up to {left} bytes"),
            "it takes root, to mount a small file system",
        );
    };
    let first = project.head();
    project.ok(&["deploy"]);
    crate::lifecycle::waiting_build(&project);
    let version = project.commit("Second");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("build", "started");
    crate::common::until("the build waits", || project.root.join("target/waits").exists());
    disk.fill(left);
    project.write("target/go", "");
    let ended = deploy.end().expect(1);
    assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);
    assert_eq!(ended.steps("failed")[..1], ["publish"], "{:#?}", ended.events);
    assert_eq!(project.serves(), Some(first.clone()));
    assert!(machine::lives(project.supervisor()));
    assert_eq!(project.status()["version"], first);
    disk.make_room();
    let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
    assert!(resumed.steps("reused").contains(&"source"));
    assert_eq!(project.serves(), Some(version));
    let releases = project.deployed("releases");
    let names: Vec<_> = fs_err::read_dir(releases).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(first));
    project.ok(&["stop"]);
}
