//! What is judged of what a host says.

use super::*;

/// A Debian machine of the user `deploy` where nothing is installed, with these lines instead.
fn facts(lines: &str) -> Facts {
    let fresh = "system=Debian GNU/Linux 12 (bookworm)\nfamily=debian \nuser=deploy\nuid=1000\nboot=\nactive=inactive\nfree=90000000\n";
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
    let denied =
        facts("installed=Docker version 28.0.1\nsocket=denied\nboot=enabled\nactive=active").judge(None, &[80]);
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
