//! The bucket of a state: created, hardened and checked, on moto, which supports all of Amazon's settings, and on
//! versitygw, which supports few but verifies signatures.

mod lacks;
mod made;
mod refused;

use std::process::Command;

use serde_json::Value;

use crate::site::write_env_file;
use crate::site::{result, take_nothing_of_this_machine};
use devservers::Moto;
use devservers::http::ask;
use devservers::proxy::{Proxy, Seen};
use devservers::versitygw::{ACCESS_KEY, SECRET_KEY, Versitygw};
use testkit::{Project, Ran, Running, or_skip};

/// The items of an existing bucket, in their order.
const ABOUT: [&str; 9] =
    ["bucket", "objects", "locking", "old versions", "public access", "encryption", "requests", "lifecycle", "tags"];

/// A project whose environment `production` has its state in the bucket `states`. The bucket need not exist.
struct Fixture {
    project: Project,
}

impl Fixture {
    fn on(provider: &str, region: &str, endpoint: &str) -> Self {
        let project = Project::of("fixture", |project| {
            let deploy = project.read("deploy.yaml");
            let production = format!(
                "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    stack: infra\n    \
                 state: {{ bucket: states, region: {region}, provider: {provider}, endpoint: '{endpoint}' }}\n"
            );
            project.write("deploy.yaml", &format!("{deploy}{production}"));
            project.write("infra/main.tf", "terraform {\n  backend \"s3\" {}\n}\n");
            keys(project, SECRET_KEY);
        });
        Self { project }
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.project.command(&[&["bootstrap", "state", "production"], flags].concat());
        take_nothing_of_this_machine(&mut command);
        command
    }

    fn run(&self, flags: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(flags));
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sentinel"), "{ran:?}");
        ran
    }

    /// The result event.
    #[track_caller]
    fn result(&self, flags: &[&str], code: i32) -> Value {
        let ended = Running::start(self.command(flags).arg("--json")).end().expect(code);
        assert!(!format!("{}{:?}", ended.stderr, ended.events).contains("sentinel"), "{ended:?}");
        result(ended)
    }
}

/// The status of an item.
#[track_caller]
fn verdict<'a>(result: &'a Value, about: &str) -> &'a str {
    let items = result["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["about"] == about);
    item.unwrap_or_else(|| panic!("there is no {about}: {result:#}"))["verdict"].as_str().unwrap()
}

fn keys(project: &Project, secret: &str) {
    let text = format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={secret}\n");
    write_env_file(&project.root, &text);
}

/// Requests that change something, without those of the lock probe.
fn changes(seen: &[Seen]) -> Vec<&str> {
    let lines = seen.iter().map(|seen| seen.line.as_str());
    let is_probe = |line: &str| line.contains(".xtask/probe-") || line.contains("?delete");
    lines.filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD ") && !is_probe(line)).collect()
}

fn unchanged(_: &str) -> bool {
    true
}
