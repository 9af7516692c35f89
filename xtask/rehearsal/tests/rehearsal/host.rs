//! A rehearsal of a Docker host.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testkit::{Project, Ran, or_skip, skipped};

use crate::shop::{account, events, rehearsal};

/// The service: its file system is read-only but for /tmp.
const START: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /tmp/www
$b printf '{"status":"ready","version":"%s"}' "$SERVICE_VERSION" > /tmp/www/ready
trap 'exit 0' TERM
$b httpd -f -p "$PORT" -h /tmp/www &
wait
"#;

const SETTINGS: &str = r#"{ "schema": 1, "settings": [
  { "name": "SERVICE_VERSION", "help": "The release", "kind": "text", "default": "none", "required": false, "secret": false, "supplied_by": "version" },
  { "name": "PORT", "help": "The port", "kind": "port", "default": "3000", "required": false, "secret": false, "supplied_by": "port" },
  { "name": "GREETING", "help": "What it says", "kind": "text", "default": null, "required": true, "secret": false, "supplied_by": null },
  { "name": "SIGNING_KEY", "help": "A key", "kind": "text", "default": null, "required": true, "secret": true, "supplied_by": "random" }
] }"#;

/// A project whose environment `prod` is on hosts that are nowhere.
struct Site {
    project: Project,
    proxy: String,
}

impl Site {
    fn open(test: &str, rehearsal: &str) -> Option<Self> {
        if !Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success()) {
            skipped(test, "no Docker engine answers; install one: cargo xtask setup --docker");
            return None;
        }
        or_skip(test, devservers::caddy::program())?;
        let proxy = devservers::caddy::image().unwrap();
        let project = Project::of("fixture", |project| {
            let deploy = project.read("deploy.yaml").replace("  migrations: migrations\n  args: [serve]\n", "");
            let prod = format!(
                "  prod:\n    target: compose\n    proxy: {proxy}\n    host: [ssh://one.example.org, ssh://two.example.org]\n    port: 3000\n    \
                 service: {{ health: [/bin/busybox, 'true'], memory: 64M }}\n    gate: {{ timeout: 15, watch: 1 }}\n{rehearsal}image: {{}}\n"
            );
            project.write("deploy.yaml", &(deploy + &prod));
            project.write("settings.json", SETTINGS);
            project.write(".gitignore", "/.deploy\n/target\n.env.*\n");
            project.write_image(START);
        });
        Some(Self { project, proxy })
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut rehearsal(&self.project.root, args))
    }

    fn folder(&self) -> PathBuf {
        self.project.root.join(".deploy/rehearsal-prod")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.run(&["clean", "prod"]));
        drop(Command::new("docker").args(["rmi", "--force", &self.proxy]).output());
    }
}

#[test]
fn a_docker_host_is_rehearsed_in_this_machines_engine() {
    let test = "a_docker_host_is_rehearsed_in_this_machines_engine";
    let Some(site) = Site::open(test, "    rehearsal: { settings: { GREETING: hello } }\n") else { return };
    let ended = site.run(&["--json"]).expect(0);
    let account = account(&events(&ended));
    let chapters = account["chapters"].as_array().unwrap();
    let proof = |name: &str| {
        let chapter = chapters.iter().find(|chapter: &&Value| chapter["name"] == name);
        let proof = chapter.unwrap_or_else(|| panic!("there is no {name}: {account:#}"))["proof"].as_array().unwrap();
        proof.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect::<String>()
    };
    let names: Vec<&str> = chapters.iter().filter_map(|chapter| chapter["name"].as_str()).collect();
    let broken = ["a release that ends at once", "a deploy that is killed"];
    assert_eq!(names, [&["servers", "project", "deploy", "deploy under load"], &broken[..], &["rollback"]].concat());
    assert!(chapters.iter().all(|chapter| chapter["outcome"] == "done"), "{account:#}");
    for (name, text) in [
        ("deploy", "serves at http://localhost:"),
        ("deploy", "deployed again at once: unchanged"),
        ("deploy under load", " 0 failed"),
        (broken[0], "exit code 30"),
        (broken[0], "/no/such/program"),
        (broken[0], " 0 failed"),
        (broken[1], "resuming"),
        ("rollback", "back to"),
    ] {
        assert!(proof(name).contains(text), "{name}: {text}: {}", proof(name));
    }
    // The account is all that is left.
    let mut left: Vec<_> = fs_err::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["account.html", "account.json"]);
    let project = proof("project");
    let name = project.split_whitespace().find(|word| word.starts_with("rehearsal-")).unwrap().trim_end_matches(';');
    for list in [["ps", "--all"], ["volume", "ls"], ["network", "ls"]] {
        let filter = format!("name={name}");
        let found = Ran::of(Command::new("docker").args(list).args(["--quiet", "--filter", &filter])).expect(0).stdout;
        assert_eq!(found, "", "{list:?}");
    }
    assert_eq!(Ran::of(Command::new("docker").args(["images", "--quiet", name])).expect(0).stdout, "");
    assert!(site.project.git(&["status", "--porcelain"]).is_empty());
}

#[test]
fn what_a_docker_host_does_not_have_is_not_broken() {
    let test = "what_a_docker_host_does_not_have_is_not_broken";
    let Some(site) = Site::open(test, "") else { return };
    site.run(&["prod", "--break", "dns", "--break", "health"]).expect(2).says(&[
        "the service requires GREETING; write into deploy.yaml: environments.prod.rehearsal.settings.GREETING: VALUE",
        "nothing to break here: a name that leads elsewhere",
        "nothing to break here: a release that never gets ready",
    ]);
    site.run(&["prod", "--ci"]).expect(2).says(&["`--ci` is for a stack"]);
    assert!(!site.folder().join("servers").exists());
}
