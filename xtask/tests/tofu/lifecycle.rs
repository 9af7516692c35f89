//! A stack from its creation to its deletion.

use serde_json::json;

use crate::site::{Site, result};
use devservers::versitygw::SECRET_KEY;
use testkit::Ran;

#[test]
fn a_stack_is_created_changed_and_deleted() {
    let Some(site) = Site::open("a_stack_is_created_changed_and_deleted") else { return };
    site.run(&["init", "production"]).expect(0);

    // Created, after approval.
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!(plan["counts"], json!({ "create": 2 }));
    let unapproved = site.run(&["apply", "production"]).expect(21);
    unapproved.says(&["--approve", plan["approval"].as_str().unwrap(), "+ create   terraform_data.app"]);
    assert!(!site.state().exists());
    let applied = site.start(&["apply", "production", "--approve", plan["approval"].as_str().unwrap()]).end().expect(0);
    let parts: Vec<&str> = applied
        .events
        .iter()
        .filter(|event| event["detail"]["part"] == "done")
        .filter_map(|event| event["detail"]["text"].as_str())
        .collect();
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert!(parts.contains(&"create terraform_data.media"), "{parts:?}");
    assert_eq!(result(applied)["created"], 2);
    assert!(!site.folder().join("plan.tfplan").exists());
    assert_eq!(site.result(&["output", "production"], 0)["outputs"]["size"], 3);
    assert_eq!(site.run(&["output", "production", "size"]).expect(0).stdout, "3\n");

    // There are no changes.
    let nothing = site.run(&["plan", "production"]).expect(0).says(&["nothing to change; 2 unchanged"]);
    assert!(!nothing.stdout.contains("--approve"), "{}", nothing.stdout);

    // Changed: the plan shows only the change.
    site.project.edit("deploy.yaml", "size: 3", "size: 4");
    site.project.commit("Larger");
    let page = site.project.root.join("page.md");
    let ran = site.run(&["plan", "production", "--markdown", page.to_str().unwrap()]).expect(10);
    assert!(
        ran.stdout.starts_with("~ update   terraform_data.app  input, output\noutputs  ~ size\n"),
        "{}",
        ran.stdout
    );
    let page = fs_err::read_to_string(page).unwrap();
    assert!(page.starts_with("### production: 1 to update; 1 unchanged\n"), "{page}");
    site.change();
    assert_eq!(site.run(&["output", "production", "size"]).expect(0).stdout, "4\n");

    // Deleted, after a commit lifted the protection.
    let destroy = ["plan", "production", "--destroy"];
    site.run(&destroy)
        .expect(21)
        .says(&["terraform_data.media would be deleted", "`protect` names terraform_data.media"]);
    site.project.edit("deploy.yaml", "protect: [terraform_data.media]", "protect: []");
    site.run(&destroy).expect(21).says(&["terraform_data.media would be deleted"]);
    site.project.commit("Not protected any more");
    let plan = site.result(&destroy, 10);
    assert_eq!(plan["counts"], json!({ "delete": 2 }));
    site.run(&["apply", "production", "--approve", plan["approval"].as_str().unwrap()]).expect(0);
    assert_eq!(site.result(&["output", "production"], 0)["outputs"], json!({}));
}

#[test]
fn errors_of_a_stack_are_shown_with_file_and_line() {
    let Some(site) = Site::open("errors_of_a_stack_are_shown_with_file_and_line") else { return };
    site.run(&["validate", "production"]).expect(0);
    site.project.edit("infra/main.tf", "  input = var.size", "  inputs = var.size");
    site.project.edit("infra/main.tf", "terraform_data.app.output", "terraform_data.ap.output");
    // `validate` needs neither secrets nor the bucket.
    fs_err::remove_file(site.project.root.join(".env.production")).unwrap();
    let refused = Ran::of(site.command(&["validate", "production"]).env("GITHUB_ACTIONS", "true")).expect(1);
    let refused = refused.says(&["infra/main.tf:20:3: Unsupported argument", "infra/main.tf:24:"]);
    refused.says(&["::error file=infra/main.tf,line=20,col="]);
}

#[test]
fn a_variable_that_the_stack_does_not_declare_is_refused() {
    let Some(site) = Site::open("a_variable_that_the_stack_does_not_declare_is_refused") else { return };
    site.project.edit("deploy.yaml", "size: 3", "size: 3, sise: 4");
    site.project.commit("A slip of the pen");
    site.run(&["plan", "production"]).expect(2).says(&["sise", "it declares: secret, size"]);

    site.project.edit("deploy.yaml", ", sise: 4", "");
    site.project.edit("deploy.yaml", "protect: [terraform_data.media]", "protect: [terraform_data.media, bucket.x]");
    site.project.commit("Another one");
    site.run(&["plan", "production"]).expect(10).says(&["`protect` names bucket.x"]);

    site.project.edit("infra/main.tf", "backend \"s3\" {}", "");
    site.run(&["plan", "production"]).expect(1).says(&["infra does not declare the backend", "backend \"s3\" {}"]);
    site.run(&["plan", "local"]).expect(2).says(&["local has no stack", "production"]);
}

#[test]
fn doctor_reports_what_a_stack_lacks() {
    let Some(site) = Site::open("doctor_reports_what_a_stack_lacks") else { return };
    let good = Ran::of(&mut site.toolkit(&["doctor", "production"]));
    for line in ["✓ tofu ", "✓ passphrase", "✓ state       states accepts the key"] {
        assert!(good.stdout.contains(line), "it does not say {line:?}: {}", good.stdout);
    }
    let file = site.project.read(".env.production");
    site.project.write(".env.production", &file.replace(SECRET_KEY, "another"));
    let wrong = Ran::of(&mut site.toolkit(&["doctor", "production"])).expect(1);
    site.project.write(".env.production", &file);
    assert!(wrong.stdout.contains("✗ state") && wrong.stdout.contains("check AWS_ACCESS_KEY_ID"), "{}", wrong.stdout);
    site.project.edit("deploy.yaml", "bucket: states", "bucket: no-states");
    let none = Ran::of(&mut site.toolkit(&["doctor", "production"])).expect(1);
    assert!(none.stdout.contains("→ cargo xtask bootstrap state production"), "{}", none.stdout);
    fs_err::remove_file(site.project.root.join(".env.production")).unwrap();
    let bad = Ran::of(&mut site.toolkit(&["doctor", "production"])).expect(1);
    assert!(
        bad.stdout.contains("TF_STATE_PASSPHRASE has no value") && bad.stdout.contains("openssl rand"),
        "{}",
        bad.stdout
    );
}

#[test]
fn a_program_that_is_too_old_is_skipped() {
    let Some(site) = Site::open("a_program_that_is_too_old_is_skipped") else { return };
    let old = site.project.root.join(".deploy/old");
    fs_err::create_dir_all(&old).unwrap();
    let script = "#!/bin/sh\necho '{\"terraform_version\":\"1.9.4\"}'\n";
    fs_err::write(old.join("tofu"), script).unwrap();
    fs_err::set_permissions(old.join("tofu"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", old.display(), std::env::var("PATH").unwrap());
    let doctor = Ran::of(site.toolkit(&["doctor", "production"]).env("PATH", &path));
    let plan = |code| Ran::of(site.command(&["plan", "production"]).env("PATH", &path)).expect(code);
    if devservers::tofu::installed().unwrap().is_file() {
        assert!(doctor.stdout.contains("✓ tofu        1.") && doctor.stdout.contains("/tofu-1."), "{}", doctor.stdout);
        plan(10);
        // A change in PATH is noticed, and init runs again.
        fs_err::remove_file(old.join("tofu")).unwrap();
        plan(10).says(&["✓ init "]);
        assert!(!plan(10).stderr.contains("✓ init "));
    } else {
        assert!(doctor.stdout.contains("is 1.9.4; required is 1.10 or newer"), "{}", doctor.stdout);
        plan(1).says(&["to install it: cargo xtask setup"]);
    }
}
