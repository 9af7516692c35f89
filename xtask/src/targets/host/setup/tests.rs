//! What is judged of what a host says.

use super::facts::INSTALL;
use super::*;

/// A Debian machine of the user `deploy` where nothing is installed, with these lines instead.
fn facts(lines: &str) -> Facts {
    let fresh = "system=Debian GNU/Linux 12 (bookworm)\nfamily=debian \nuser=deploy\nuid=1000\nboot=\nactive=inactive\nusermod=yes\nfree=90000000\n";
    Facts::read(&(fresh.to_owned() + lines))
}

fn bad(found: &Found) -> Vec<&str> {
    found.checks.iter().filter(|check| check.is_bad()).map(|check| check.name).collect()
}

#[test]
fn a_fresh_debian_gets_docker_and_its_user_the_group() {
    let found = facts("").judge(None, &[80, 443]);
    let after = ["systemctl enable --now docker", "usermod --append --groups docker deploy"];
    assert_eq!(found.commands, [&INSTALL[..], &after].concat());
    assert_eq!((bad(&found), found.by_hand), (vec!["engine", "boot", "user"], 0));
    // Root needs no group, and without systemd the package's script starts the engine.
    let mut root = facts("user=root\nuid=0");
    root.values.remove("boot");
    assert_eq!(root.judge(None, &[80]).commands, INSTALL);
}

#[test]
fn an_engine_that_answers_is_only_enabled() {
    let engine = Engine::Answers("28.0.1".to_owned(), vec![80]);
    let tcp = "  0: 00000000:0050 00000000:0000 0A 0\n  1: 0100007F:01BB 0100007F:0050 01 0";
    let said = format!("socket=usable\ninstalled=Docker version 28.0.1\nactive=active\n{tcp}\nboot=");
    let enabled = facts(&format!("{said}enabled")).judge(Some(&engine), &[80, 443]);
    assert_eq!((bad(&enabled), enabled.commands.len()), (vec![], 0));
    let disabled = facts(&format!("{said}disabled")).judge(Some(&engine), &[80, 443]);
    assert_eq!((bad(&disabled), disabled.commands.clone()), (vec!["boot"], vec!["systemctl enable docker".to_owned()]));
    // Port 80 is not the proxy's.
    let other = Engine::Answers("28.0.1".to_owned(), Vec::new());
    let taken = facts(&format!("{said}enabled\nfree=9")).judge(Some(&other), &[80, 443]);
    assert_eq!((bad(&taken), taken.by_hand, taken.commands.len()), (vec!["ports", "disk"], 2, 0));
}

#[test]
fn an_engine_that_is_stopped_denied_or_ill_is_told_apart() {
    let stopped = facts("installed=Docker version 28.0.1\nboot=disabled\nuid=0").judge(None, &[80]);
    assert_eq!(
        (bad(&stopped), stopped.commands.clone()),
        (vec!["engine", "boot"], vec!["systemctl enable --now docker".to_owned()])
    );
    let denied = facts("installed=Docker version 28.0.1\nsocket=denied\ngroup=docker\nboot=enabled\nactive=active")
        .judge(None, &[80]);
    assert_eq!((bad(&denied), denied.commands.len(), denied.by_hand), (vec!["user"], 1, 0));
    let ill = Engine::Fails("the engine is too old".to_owned());
    let ill = facts("installed=Docker version 18\nsocket=usable\nactive=active").judge(Some(&ill), &[80]);
    assert_eq!((bad(&ill), ill.commands.len(), ill.by_hand), (vec!["engine"], 0, 1));
}

#[test]
fn another_system_is_told_what_to_install_by_hand() {
    let found = facts("system=Alpine Linux v3.20\nfamily=alpine ").judge(None, &[80]);
    assert_eq!((bad(&found), found.commands.len(), found.by_hand), (vec!["engine"], 0, 1));
    let text = found.checks.iter().map(|check| check.json().to_string()).collect::<String>();
    assert!(text.contains("Alpine Linux") && text.contains("https://docs.docker.com/engine/install"), "{text}");
}

#[test]
fn a_docker_that_deploys_cannot_use_is_left_to_a_person() {
    let snap = "socket=denied\ngroup=root\nboot=disabled";
    let rootless = "rootless=/run/user/1000/docker.sock";
    let both = "installed=Docker version 28.0.1\nsocket=denied\ngroup=docker\nrootless=tcp://127.0.0.1:2375";
    let stopped_snap = "family=ubuntu debian\nsnap=docker";
    for (said, name) in [(snap, "user"), (rootless, "engine"), (both, "engine"), (stopped_snap, "engine")] {
        let found = facts(said).judge(None, &[80]);
        assert_eq!((bad(&found), found.commands.len(), found.by_hand), (vec![name], 0, 1), "{said}");
    }
    // The host's own serves as well.
    let engine = Engine::Answers("28.0.1".to_owned(), Vec::new());
    let used = facts(&format!("socket=usable\ngroup=root\nboot=enabled\n{rootless}")).judge(Some(&engine), &[80]);
    assert_eq!((bad(&used), used.commands.len()), (vec![], 0));
}

#[test]
fn no_command_is_planned_that_the_system_does_not_have() {
    let docker = "system=Alpine Linux v3.20\nfamily=alpine \ninstalled=Docker version 28.0.1";
    let mut denied = facts(&format!("{docker}\nsocket=denied\ngroup=docker"));
    denied.values.retain(|name, _| name != "boot" && name != "usermod");
    let denied = denied.judge(None, &[80]);
    assert_eq!((bad(&denied), denied.commands.len(), denied.by_hand), (vec!["user"], 0, 1));
    let mut stopped = facts(docker);
    stopped.values.remove("boot");
    assert_eq!(stopped.judge(None, &[80]).commands, ["usermod --append --groups docker deploy"]);
    // Docker that no unit of systemd starts.
    let by_hand = facts(&format!("{docker}\nuid=0")).judge(None, &[80]);
    assert_eq!((bad(&by_hand), by_hand.commands.len(), by_hand.by_hand), (vec!["engine", "boot"], 0, 1));
}

#[test]
fn the_proxy_has_its_own_port_beside_those_of_a_domain() {
    assert_eq!(ports(3000, false), [3000]);
    assert_eq!(ports(3000, true), [3000, 80, 443]);
}

#[test]
fn what_a_person_types_is_what_the_host_takes() {
    let host = config::Host { destination: "deploy@one.example.org".to_owned(), port: Some(2222) };
    let machine = Machine { name: String::new(), host };
    let found = |root| Found { commands: vec!["a 'b'".to_owned(), "c".to_owned()], root, ..Found::default() };
    let typed = |root| {
        let words = shlex::split(&machine.by_hand(&found(root)).unwrap()).unwrap();
        assert_eq!(words[..5], ["ssh", "-t", "-p", "2222", "deploy@one.example.org"]);
        words[5].clone()
    };
    assert_eq!(typed(Root::Asks), "sudo a 'b' && sudo c");
    assert_eq!(shlex::split(&typed(Root::NoSudo)).unwrap(), ["su", "-", "-c", "a 'b' && c"]);
}
