//! Two Docker hosts, each with an engine, a network and an SSH server of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use devservers::sshd::SECOND;
use devservers::{OwnEngine, Sshd};
use serde_json::Value;
use testkit::{Ran, Running, or_skip};

use super::Site;
use crate::shop::docker_says;

#[test]
fn a_release_comes_to_one_host_after_the_other_and_goes_back_on_both() {
    let test = "a_release_comes_to_one_host_after_the_other_and_goes_back_on_both";
    let Some(first_host) = or_skip(test, Sshd::start()) else { return };
    let Some(mut engine) = or_skip(test, OwnEngine::start(None)) else { return };
    let Some(second_host) = or_skip(test, Sshd::start_beside(&engine)) else { return };
    first_host.know(&second_host).unwrap();
    let names = [format!("ssh://root@127.0.0.1:{}", first_host.port), format!("ssh://root@{SECOND}")];
    let Some(mut site) = Site::open(test, &format!("    host: [{}, {}]\n", names[0], names[1])) else { return };
    site.bin = Some(first_host.bin());
    load(&site.proxy, &engine);
    let project = &site.project;
    let (port, pid) = (project.port, engine.pid().to_string());
    let serve = || {
        let url = format!("http://127.0.0.1:{port}/version");
        let mut ask = Command::new("nsenter");
        ask.args(["--net", "--target", &pid, "busybox", "wget", "-q", "-O", "-", &url]);
        [project.serves().unwrap_or_default(), Ran::of(&mut ask).stdout]
    };
    let both = |version: &str| [version, version].map(str::to_owned);

    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0).says(&["it serves on 2 hosts"]);
    assert_eq!(serve(), both(&first));
    site.run(&["deploy", "prod"]).expect(0).says(&["unchanged"]);
    let second = project.commit("Another");
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("{first} → {second}")]);
    assert_eq!(serve(), both(&second));
    let status = result(&site.run(&["status", "prod", "--json"]).expect(0));
    for (seen, name) in status["hosts"].as_array().unwrap().iter().zip(&names) {
        assert_eq!((seen["host"].as_str(), seen["version"].as_str()), (Some(name.as_str()), Some(second.as_str())));
        assert_eq!(seen["ready"], true);
    }
    let logs = site.run(&["logs", "prod"]).expect(0).stdout;
    let doctor = site.run(&["doctor", "prod"]).expect(0).stdout;
    for name in &names {
        assert!(logs.contains(&format!("{name} | ")) && logs.contains(&format!("{second} begins")), "{logs}");
        assert!(doctor.contains(&format!("{name}: Docker")), "{doctor}");
    }
    site.run(&["run", "prod", "--", "tell", "a"]).expect(7).says(&[&format!("it runs on {}", names[0])]);
    site.run(&["rollback", "prod"]).expect(0);
    assert_eq!(serve(), both(&first));

    // The second host goes away while the first one starts the next release, which then serves there, until it goes back.
    project.edit("deploy.yaml", "timeout: 5", "timeout: 60");
    let third = site.commit("waits");
    let mut deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
    deploy.must("gate", "started");
    engine.kill();
    let volume = docker_says(&["volume", "inspect", "--format", "{{.Mountpoint}}", &format!("{}-data", site.prefix)]);
    fs_err::write(Path::new(&volume).join("go"), "").unwrap();
    deploy.must("switch", "finished");
    deploy.end().expect(30);
    assert_eq!(project.serves().as_ref(), Some(&first));
    let record = result(&site.run(&["history", "prod", "--json"]).expect(0));
    assert_eq!((&record["outcome"], &record["source"]["version"]), (&"restored".into(), &third.as_str().into()));
    let hosts = &record["hosts"];
    assert_eq!((hosts[&names[0]].as_str(), &hosts[&names[1]]), (Some(first.as_str()), &Value::Null), "{record}");
    assert!(record["error"].as_str().unwrap().contains(&names[1]), "{record}");

    let status = site.run(&["status", "prod"]).expect(31);
    assert!(status.stdout.contains("not on all hosts") && status.stdout.contains("it cannot be asked"), "{status:?}");
    site.run(&["deploy", "prod"]).expect(1).says(&[&format!("{}: ", names[1])]);
    assert_eq!(project.serves().as_ref(), Some(&first));
    site.run(&["stop", "prod"]).expect(1).says(&["not stopped everywhere", &names[1], "-service-"]);
    assert_eq!(project.serves(), None);
}

/// Copies an image of this machine's engine into another one.
fn load(image: &str, engine: &OwnEngine) {
    let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
    let mut load = Command::new("docker");
    load.args(["--host", &engine.address(), "load"]).stdin(save.stdout.take().unwrap());
    Ran::of(&mut load).expect(0);
    assert!(save.wait().unwrap().success());
}

/// The first result that a command answers with.
fn result(ran: &Ran) -> Value {
    let events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.into_iter().find(|event| event["state"] == "result").unwrap()["detail"].take()
}
