//! The commands of docs/DOCKER-HOST.md as they stand, one after the other.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::Site;
use crate::guide::commands;

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/DOCKER-HOST.md"));

#[test]
fn each_command_of_the_guide_does_what_it_says() {
    let worker = "    worker: { args: [serve], health: [/fixture, health], memory: 64M }\n";
    let Some(site) = Site::open("each_command_of_the_guide_does_what_it_says", worker) else { return };
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    let second = site.commit("ready, again");

    let mut typed = Vec::new();
    for args in commands(GUIDE) {
        typed.push(args[0]);
        match args[0] {
            // It ends when the user says so.
            "logs" => {
                let mut logs = site.command(&args).stdout(Stdio::piped()).spawn().unwrap();
                let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines().map_while(Result::ok);
                assert!(lines.any(|line| line.contains(&format!("{first} begins"))));
                logs.kill().unwrap();
                logs.wait().unwrap();
            }
            // What is behind the dashes is each service's own.
            "run" => drop(site.run(&[&args[..3], &["tell"]].concat()).expect(7)),
            "status" => assert!(site.run(&args).expect(0).stdout.contains(&first)),
            _ => drop(site.run(&args).expect(0)),
        }
        match args[0] {
            "deploy" => assert_eq!(project.serves().as_ref(), Some(&second)),
            "stop" => {
                assert_eq!(project.serves(), None);
                assert!(!site.containers().iter().any(|line| line.ends_with(" running")), "{:?}", site.containers());
            }
            "doctor" => {}
            _ => assert_eq!(project.serves().as_ref(), Some(&first), "{args:?}"),
        }
    }
    assert_eq!(typed, ["doctor", "deploy", "rollback", "status", "logs", "run", "stop"]);
}
