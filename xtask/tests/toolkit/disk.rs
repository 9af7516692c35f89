//! A disk that is full, or fills up during a deploy.

use testkit::disk::Disk;
use testkit::{Project, machine, skipped};

#[test]
fn a_full_disk_is_reported_before_anything_changes() {
    let project = Project::fixture();
    let Some(disk) = Disk::mount(&project.root.join(".deploy"), 64) else {
        return skipped(
            "a_full_disk_is_reported_before_anything_changes",
            "it takes root, to mount a small file system",
        );
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

/// Fills the disk up to this many free bytes while the build waits.
fn fills(left: u64) {
    let project = Project::fixture();
    let Some(disk) = Disk::mount(&project.root.join(".deploy"), 800) else {
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
    testkit::until("the build waits", || project.root.join("target/waits").exists());
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
