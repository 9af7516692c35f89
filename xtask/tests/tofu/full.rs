//! A full disk: no file is half-written, and no state is lost.

use std::path::Path;

use serde_json::json;

use crate::site::Site;
use crate::small::{STACK, site};
use testkit::disk::Disk;
use testkit::{Running, skipped, until};

const TAKES_ROOT: &str = "it takes root, to mount a small file system";

#[test]
fn a_plan_on_a_full_disk_fails_and_is_not_kept() {
    let test = "a_plan_on_a_full_disk_fails_and_is_not_kept";
    let Some(site) = site(test, STACK) else { return };
    let Some(disk) = Disk::mount(&site.project.root.join(".deploy"), 64) else { return skipped(test, TAKES_ROOT) };
    site.run(&["init", "production"]).expect(0);
    for left in [0, 4096] {
        disk.fill(left);
        let failed = site.run(&["plan", "production"]).expect(1);
        // OpenTofu and the toolkit capitalize it differently.
        assert!(failed.stderr.to_lowercase().contains("no space left on device"), "{}", failed.stderr);
        site.run(&["apply", "production"]).expect(21).says(&["there is no plan"]);
        assert!(!site.lock().exists());
        disk.make_room();
    }
    site.change();
    site.run(&["plan", "production"]).expect(0);
}

/// Runs an apply that ends while the bucket is unreachable and the stack's folder is full. Returns its error.
fn ends_in_trouble(site: &mut Site, disk: &Disk, meanwhile: impl FnOnce(&Path)) -> String {
    let approval = site.approval();
    site.fault(json!({ "slow": 3 }));
    let applying: Running = site.start(&["apply", "production", "--approve", &approval]);
    let faults = site.cloud().folder().join("faults.json");
    until("the container is being made", || fs_err::read_to_string(&faults).unwrap().contains("\"times\": 0"));
    disk.fill(0);
    site.storage.pause();
    meanwhile(&site.folder());
    let ended = applying.end().expect(1);
    disk.make_room();
    site.storage.go_on().unwrap();
    assert!(!site.project.root.join("infra/errored.tfstate").exists());
    assert!(!ended.stderr.contains("sentinel"), "{}", ended.stderr);
    ended.stderr
}

/// Checks that `tofu recover` restores the state, and that it has all resources.
fn recovers(site: &Site) {
    site.unlock(&site.run(&["recover", "production"]));
    site.run(&["recover", "production"]).expect(0);
    site.run(&["plan", "production"]).expect(0).says(&["2 unchanged"]);
}

#[test]
fn a_state_that_fits_neither_its_bucket_nor_the_stacks_folder_is_kept() {
    let test = "a_state_that_fits_neither_its_bucket_nor_the_stacks_folder_is_kept";
    let Some(mut site) = site(test, STACK) else { return };
    let Some(disk) = small_disk(&site) else { return skipped(test, TAKES_ROOT) };
    let said = ends_in_trouble(&mut site, &disk, |_| {});
    assert!(said.contains("the state could not be saved and is kept in"), "{said}");
    let kept = fs_err::read_to_string(site.folder().join("unsaved/terraform.tfstate")).unwrap();
    assert!(kept.contains("encrypted_data"), "{kept}");
    recovers(&site);
}

#[test]
fn a_state_that_cannot_be_saved_anywhere_is_printed() {
    let test = "a_state_that_cannot_be_saved_anywhere_is_printed";
    let Some(mut site) = site(test, STACK) else { return };
    let Some(disk) = small_disk(&site) else { return skipped(test, TAKES_ROOT) };
    // A file is in the place of the folder for the state.
    let said = ends_in_trouble(&mut site, &disk, |folder| fs_err::write(folder.join("unsaved"), "").unwrap());
    assert!(said.contains("the state could not be saved anywhere"), "{said}");
    let file = said.split("write the next line into ").nth(1).and_then(|rest| rest.split("; ").next()).unwrap();
    let state = said.lines().find(|line| line.starts_with('{')).expect("it says the state");
    fs_err::remove_file(site.folder().join("unsaved")).unwrap();
    fs_err::create_dir(site.folder().join("unsaved")).unwrap();
    fs_err::write(file, state).unwrap();
    recovers(&site);
}

/// Mounts a small disk in place of the stack's folder, with the same files.
fn small_disk(site: &Site) -> Option<Disk> {
    let disk = Disk::mount(&site.project.root.join("infra"), 16)?;
    site.project.git(&["checkout", "--quiet", "--", "infra"]);
    Some(disk)
}
