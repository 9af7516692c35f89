//! Several Docker hosts, each with an engine, a network and an SSH server of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use devservers::{OwnEngine, Sshd};
use serde_json::Value;
use testkit::{Ran, Running, or_skip, until};

use super::Site;
use crate::shop::{docker_says, engine_answers};

/// The hosts: that of this machine's engine, and others.
pub struct Hosts {
    first: Sshd,
    pub others: Vec<(OwnEngine, Sshd)>,
    /// As deploy.yaml has them, the first one first.
    pub names: Vec<String>,
}

impl Hosts {
    /// Starts them, the others with these names. `None` if this machine cannot run the test.
    fn start(test: &str, others: &[&str]) -> Option<Self> {
        if !engine_answers(test) {
            return None;
        }
        let first = or_skip(test, Sshd::start())?;
        let mut hosts = Self { names: vec![format!("ssh://root@127.0.0.1:{}", first.port)], first, others: Vec::new() };
        for name in others {
            let engine = or_skip(test, OwnEngine::start(None))?;
            let sshd = or_skip(test, Sshd::start_beside(&engine, name))?;
            hosts.first.know(&sshd).unwrap();
            hosts.names.push(format!("ssh://root@{name}"));
            hosts.others.push((engine, sshd));
        }
        Some(hosts)
    }

    /// A site on them, with these lines in the environment too.
    fn site(&self, test: &str, lines: &str) -> Option<Site> {
        let mut site = Site::open(test, &format!("    host: [{}]\n{lines}", self.names.join(", ")))?;
        site.bin = Some(self.first.bin());
        self.others.iter().for_each(|(engine, _)| load(&site.proxy, engine));
        Some(site)
    }

    /// What each host serves; nothing where that is nothing.
    fn serve(&self, site: &Site) -> Vec<String> {
        let first = site.project.serves().unwrap_or_default();
        let others = self.others.iter().map(|(engine, _)| served(engine, site.project.port));
        std::iter::once(first).chain(others).collect()
    }

    /// The versions whose containers run on another host, in any order.
    fn run(&self, place: usize) -> String {
        let engine = self.others[place].0.address();
        docker_says(&["--host", &engine, "ps", "--format", "{{.Label \"xtask.version\"}}"])
    }

    /// Tells the release that waits on a host to get ready; 0 is the first one.
    fn go(&self, site: &Site, place: usize) {
        let engine = place.checked_sub(1).map(|place| self.others[place].0.address());
        let engine: Vec<&str> = engine.iter().flat_map(|address| ["--host", address]).collect();
        let volume = format!("{}-data", site.prefix);
        let inspect = ["volume", "inspect", "--format", "{{.Mountpoint}}", &volume];
        fs_err::write(Path::new(&docker_says(&[&engine, &inspect[..]].concat())).join("go"), "").unwrap();
    }
}

#[test]
fn a_release_comes_to_one_host_after_the_other_and_goes_back_on_both() {
    let test = "a_release_comes_to_one_host_after_the_other_and_goes_back_on_both";
    let Some(mut hosts) = Hosts::start(test, &["second"]) else { return };
    let Some(site) = hosts.site(test, "") else { return };
    let (project, names) = (&site.project, hosts.names.clone());
    let both = |version: &str| [version, version].map(str::to_owned);

    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0).says(&["it serves on 2 hosts"]);
    assert_eq!(hosts.serve(&site), both(&first));
    site.run(&["deploy", "prod"]).expect(0).says(&["unchanged"]);
    let second = project.commit("Another");
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("{first} → {second}")]);
    assert_eq!(hosts.serve(&site), both(&second));
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
    assert_eq!(hosts.serve(&site), both(&first));

    // The second host goes away while the first one starts the next release, which then serves there, until it goes back.
    project.edit("deploy.yaml", "timeout: 5", "timeout: 60");
    let third = site.commit("waits");
    let mut deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
    deploy.must("gate", "started");
    hosts.others[0].0.kill();
    hosts.go(&site, 0);
    deploy.must("switch", "finished");
    deploy.end().expect(30);
    assert_eq!(project.serves().as_ref(), Some(&first));
    let record = result(&site.run(&["history", "prod", "--json"]).expect(0));
    assert_eq!((&record["outcome"], &record["source"]["version"]), (&"restored".into(), &third.as_str().into()));
    let seen = &record["hosts"];
    assert_eq!((seen[&names[0]].as_str(), &seen[&names[1]]), (Some(first.as_str()), &Value::Null), "{record}");
    assert!(record["error"].as_str().unwrap().contains(&names[1]), "{record}");

    let status = site.run(&["status", "prod"]).expect(31);
    assert!(status.stdout.contains("not on all hosts") && status.stdout.contains("it cannot be asked"), "{status:?}");
    site.run(&["deploy", "prod"]).expect(1).says(&[&format!("{}: ", names[1])]);
    assert_eq!(project.serves().as_ref(), Some(&first));
    site.run(&["stop", "prod"]).expect(1).says(&["not stopped everywhere", &names[1], "-service-"]);
    assert_eq!(project.serves(), None);
}

#[test]
fn a_deploy_that_was_killed_between_the_hosts_is_undone_or_resumed() {
    let test = "a_deploy_that_was_killed_between_the_hosts_is_undone_or_resumed";
    let Some(hosts) = Hosts::start(test, &["second", "third"]) else { return };
    let Some(site) = hosts.site(test, "    batch: 2\n") else { return };
    let project = &site.project;
    let on_all = |version: &str| [version, version, version].map(str::to_owned);
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0).says(&["it serves on 3 hosts"]);
    assert_eq!(hosts.serve(&site), on_all(&first));

    project.edit("deploy.yaml", "timeout: 5", "timeout: 60");
    let second = site.commit("waits");
    hosts.go(&site, 0);
    let kill_between = || {
        let deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
        // Both at once: neither gets ready.
        until("the others start it", || (0..2).all(|place| hosts.run(place).contains(&second)));
        deploy.kill();
        assert_eq!(hosts.serve(&site), [&second, &first, &first].map(String::clone));
    };
    kill_between();
    let status = site.run(&["status", "prod"]).expect(31);
    for (name, version) in hosts.names.iter().zip([&second, &first, &first]) {
        assert!(status.stdout.contains(&format!("{name}   {version}   ready")), "{}", status.stdout);
    }
    for text in ["not on all hosts", "cargo xtask deploy prod --resume"] {
        assert!(status.stdout.contains(text), "{text}: {}", status.stdout);
    }
    status.type_it("fix ", &site.command(&[])).expect(0).says(&[&format!("{first} ⇢ {first}"), "it serves on 3 hosts"]);
    assert_eq!(hosts.serve(&site), on_all(&first));
    assert!([0, 1].iter().all(|place| !hosts.run(*place).contains(&second)));
    site.run(&["status", "prod"]).expect(0);

    kill_between();
    (1..3).for_each(|place| hosts.go(&site, place));
    site.run(&["deploy", "prod", "--resume"]).expect(0).says(&["resuming", "it serves on 3 hosts"]);
    assert_eq!(hosts.serve(&site), on_all(&second));
}

/// What a host serves at this port of its loopback address.
pub fn served(engine: &OwnEngine, port: u16) -> String {
    let url = format!("http://127.0.0.1:{port}/version");
    let mut ask = Command::new("nsenter");
    ask.args(["--net", "--target", &engine.pid().to_string(), "busybox", "wget", "-q", "-O", "-", &url]);
    Ran::of(&mut ask).stdout
}

/// Copies an image of this machine's engine into another one.
pub fn load(image: &str, engine: &OwnEngine) {
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
