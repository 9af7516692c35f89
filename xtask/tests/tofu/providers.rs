//! The dependency lock file pins the providers.

use crate::small::{STACK, site};

#[test]
fn a_committed_lock_file_is_used_and_not_changed() {
    let Some(site) = site("a_committed_lock_file_is_used_and_not_changed", STACK) else { return };
    let doctor = |told: &str| {
        let ran = testkit::Ran::of(&mut site.toolkit(&["doctor", "production"]));
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    };
    doctor("! providers   infra/.terraform.lock.hcl is not committed");
    doctor("create it and commit it: cargo xtask tofu init production");
    // It takes the stand-in's word for what it is, and there is nothing to write down.
    site.run(&["init", "production"]).expect(0);
    assert!(!site.project.root.join("infra/.terraform.lock.hcl").exists());

    // `provider[<host>/scaleway/scaleway]`: which registry is the usual one is OpenTofu's to know.
    let alone = tempfile::tempdir().unwrap();
    fs_err::write(alone.path().join("main.tf"), STACK.replace("  backend \"s3\" {}\n", "")).unwrap();
    let known = site.tofu(alone.path(), &["providers"]);
    let address = known.split(['[', ']']).find(|part| part.ends_with("/scaleway/scaleway")).unwrap();
    let lock = |version: &str| {
        format!(
            "provider {address:?} {{\n  version     = {version:?}\n  constraints = {version:?}\n  \
             hashes = [\n    \"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\n  ]\n}}\n"
        )
    };
    site.project.write("infra/.terraform.lock.hcl", &lock("2.81.0"));
    let unpinned = site.run(&["init", "production"]).expect(0).says(&["infra/.terraform.lock.hcl is not committed"]);
    site.type_it(&unpinned, "type: ").expect(0);
    assert_eq!(site.project.git(&["diff", "--cached", "--name-only"]), "infra/.terraform.lock.hcl");
    site.project.commit("Pinned");
    doctor("✓ providers   pinned by infra/.terraform.lock.hcl");
    site.change();
    site.run(&["plan", "production"]).expect(0);
    assert_eq!(site.project.read("infra/.terraform.lock.hcl"), lock("2.81.0"));
}
