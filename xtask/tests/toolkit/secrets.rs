//! A secret is in the service's environment, in `.env.local` and in `secrets.env`, and nowhere else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lifecycle::set_own;
use testkit::{Project, machine, until};

/// Every form of the two secrets of `.env.local` that must not appear.
const PARTS: [&str; 5] =
    ["s3nt1nel", "pa$$word-of", "it's-\\\"quoted", "MIIBsentinelCertificate", "secondSentinelLine"];

const OWN: &str = "API_TOKEN=\"s3nt1nel pa\\$\\$word-of it's-\\\"quoted\\\"\"\n\
                   CERTIFICATE=\"-----BEGIN-----\\nMIIBsentinelCertificate\\nsecondSentinelLine\\n-----END-----\\n\"\n";

/// Fails if a text contains a secret.
#[track_caller]
fn clean(project: &Project, what: &str, text: &str) {
    let generated = fs_err::read_to_string(project.deployed("secrets.env")).unwrap_or_default();
    let generated = generated.lines().filter_map(|line| Some(line.strip_prefix("SIGNING_KEY=")?.to_owned()));
    for part in generated.chain(PARTS.map(str::to_owned)) {
        assert!(!text.contains(&part), "{part:?} is in {what}:\n{text}");
    }
}

fn clean_folder(project: &Project, folder: &Path) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            clean_folder(project, &entry.path());
        } else if kind.is_file() && !matches!(entry.file_name().to_str(), Some("secrets.env" | ".env.local")) {
            let bytes = fs_err::read(entry.path()).unwrap();
            clean(project, entry.path().to_str().unwrap(), &String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_secret_is_only_in_its_files_and_the_service() {
    let project = Project::fixture();
    set_own(&project, OWN);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = String::new();
            while !done.load(Ordering::SeqCst) {
                seen.push_str(&machine::all_command_lines());
            }
            seen
        });
        for (number, (args, variable)) in [
            (&["deploy"][..], ("NO_COLOR", "1")),
            (&["deploy", "--json"], ("NO_COLOR", "1")),
            (&["deploy"], ("GITHUB_ACTIONS", "true")),
            (&["deploy"], ("CI", "true")),
        ]
        .into_iter()
        .enumerate()
        {
            project.commit(&number.to_string());
            let ran = testkit::Ran::of(project.command(args).env(variable.0, variable.1)).expect(0);
            clean(&project, "the output", &(ran.stdout + &ran.stderr));
        }
        done.store(true, Ordering::SeqCst);
        clean(&project, "a command line", &watch.join().unwrap());
    });
    let files = fs_err::metadata(project.deployed("secrets.env")).unwrap();
    assert_eq!(files.permissions().mode() & 0o777, 0o600);
    for args in
        [&["status"][..], &["status", "--json"], &["history", "--json"], &["logs"], &["doctor"], &["lock", "status"]]
    {
        let ran = project.ok(args);
        clean(&project, "an answer", &(ran.stdout + &ran.stderr));
    }
    // The service has them.
    let pid = project.services()[0].pid;
    let environment = String::from_utf8(fs_err::read(format!("/proc/{pid}/environ")).unwrap()).unwrap();
    assert!(environment.contains("API_TOKEN=s3nt1nel pa$$word-of it's-\"quoted\""), "{environment}");
    assert!(environment.contains("MIIBsentinelCertificate\nsecondSentinelLine\n"), "{environment}");
    // The supervisor outlives the deploy, and its own environment has none of them.
    let own = String::from_utf8(fs_err::read(format!("/proc/{}/environ", project.supervisor())).unwrap()).unwrap();
    clean(&project, "the supervisor's environment", &own);
    clean_folder(&project, &project.root);
    project.ok(&["rollback"]);
    clean_folder(&project, &project.root);
}

#[test]
fn secrets_in_the_output_of_a_failing_service_are_redacted() {
    let project = Project::fixture();
    set_own(&project, OWN);
    project.ok(&["deploy"]);
    project.gate(1);
    for mode in [("CI", "true"), ("GITHUB_ACTIONS", "true")] {
        project.commit_behaviour("tells-secrets");
        let ran = testkit::Ran::of(project.command(&["deploy"]).env(mode.0, mode.1)).expect(30);
        assert!(ran.stderr.contains("API_TOKEN is [redacted]"), "{}", ran.stderr);
        assert!(ran.stderr.contains("SIGNING_KEY as Rust shows it"), "{}", ran.stderr);
        clean(&project, "the output", &(ran.stdout + &ran.stderr));
    }
    project.write("notes", "json");
    let ended = project.start(&["deploy"]).end().expect(30);
    clean(&project, "the events", &format!("{:#?}\n{}", ended.events, ended.stderr));
    for args in [&["logs", "-n", "500"][..], &["logs", "--json"], &["history", "--json"], &["status", "--json"]] {
        let ran = project.ok(args);
        clean(&project, "an answer", &(ran.stdout + &ran.stderr));
    }
    clean_folder(&project, &project.root);
    until("the bad one is gone", || project.services().len() == 1);
}

#[test]
fn a_secret_in_deploy_yaml_is_refused_without_repeating_it() {
    let project = Project::fixture();
    project.edit("deploy.yaml", "target: local", "target: local\n    settings: { API_TOKEN: s3nt1nel-in-yaml }");
    let ran = project.run(&["deploy"]).expect(1).says(&["API_TOKEN", "must not be in deploy.yaml", ".env.local"]);
    clean(&project, "the output", &ran.stderr);
}

#[test]
fn a_secrets_file_that_others_can_read_is_refused_with_the_next_command() {
    let project = Project::fixture();
    set_own(&project, OWN);
    let file = project.root.join(".env.local");
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = project.run(&["deploy"]).expect(1).says(&["0644", &format!("chmod 600 {}", file.display())]);
    clean(&project, "the output", &ran.stderr);
    assert!(!project.root.join(".deploy").exists());
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    project.ok(&["deploy"]);
}

#[test]
fn a_line_that_is_no_assignment_is_reported_by_its_number_only() {
    let project = Project::fixture();
    set_own(&project, "# mine\nAPI_TOKEN=fine-and-long\ns3nt1nel without a name\n");
    let ran = project.run(&["deploy"]).expect(1).says(&[".env.local:3: expected NAME=value"]);
    clean(&project, "the output", &ran.stderr);
}
