//! The commands of docs/EASYPANEL.md as they stand, one after the other.

use devservers::easypanel::Version;

use super::{ENGINE, Site};
use crate::guide::commands;

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/EASYPANEL.md"));

#[test]
fn each_command_of_the_guide_for_an_easypanel_does_what_it_says() {
    let test = "each_command_of_the_guide_for_an_easypanel_does_what_it_says";
    let host = format!("    host: {ENGINE}\n");
    let Some(site) = Site::open(test, Version::Public, &["web", "worker"], &host) else { return };
    let first = site.project.head();
    site.run(&["deploy", "prod"]).expect(0);
    let second = site.commit("ready, again");
    let mut typed = Vec::new();
    for args in commands(GUIDE) {
        typed.push(args[0]);
        // What is behind the dashes is each service's own.
        let ran = match args[0] {
            "run" => site.run(&[&args[..3], &["tell"]].concat()),
            _ => site.run(&args),
        };
        match args[0] {
            // It fails on a machine without room for builds.
            "doctor" => {
                assert!(
                    ran.stdout.contains("Easypanel 2.33 or newer") && ran.stdout.contains("shop/worker"),
                    "{ran:?}"
                );
            }
            "deploy" => assert_eq!((ran.expect(0).code, site.serves().as_ref()), (Some(0), Some(&second))),
            "rollback" => assert_eq!((ran.expect(0).code, site.serves().as_ref()), (Some(0), Some(&first))),
            "logs" => {
                let logs = ran.expect(0).stdout;
                assert!(logs.contains(&format!("worker | {first} begins")), "{logs}");
            }
            "run" => assert!(ran.expect(7).stdout.contains(&first)),
            "status" => {
                let status = ran.expect(0).stdout;
                assert!(status.contains(&first) && status.contains("the platform says ready"), "{status}");
            }
            _ => {
                let history = ran.expect(0).stdout;
                assert!(history.contains(&first) && history.contains(&second), "{history}");
            }
        }
    }
    assert_eq!(typed, ["doctor", "deploy", "rollback", "status", "logs", "run", "history"]);
}
