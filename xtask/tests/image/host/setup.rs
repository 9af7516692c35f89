//! `setup host`: what a host without Docker lacks, and what of it is done.

use std::process::Command;

use devservers::{Sshd, Sudo};
use testkit::{Project, Ran, or_skip};

use crate::shop::engine_answers;

/// What is asked of the managers of packages and services.
const INSTALLS: [&str; 4] = [
    "apt-get -o DPkg::Lock::Timeout=120 update",
    // The first time, another apt had the lock.
    "apt-get -o DPkg::Lock::Timeout=120 update",
    "apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends --no-remove ca-certificates docker.io",
    "systemctl enable --now docker",
];

/// The fixture, whose environment `prod` is on a host without Docker, and the host. `None` if this machine cannot run the test.
fn open(test: &str, sudo: Sudo) -> Option<(Project, Sshd)> {
    if !engine_answers(test) {
        return None;
    }
    let sshd = or_skip(test, Sshd::start_without_docker(sudo))?;
    let prod = format!(
        "  prod:\n    target: compose\n    host: ssh://deploy@127.0.0.1:{}\n    port: {}\n    proxy: sha256:{}\n    \
         service: {{ health: [/fixture, health] }}\nimage: {{}}\n",
        sshd.port,
        devservers::port::free(),
        "0".repeat(64)
    );
    let project =
        Project::of("fixture", |project| project.write("deploy.yaml", &(project.read("deploy.yaml") + &prod)));
    Some((project, sshd))
}

fn run(project: &Project, sshd: &Sshd, args: &[&str]) -> Ran {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(sshd.bin()).chain(std::env::split_paths(&path));
    let mut command: Command = project.command(args);
    let ran = Ran::of(command.env("PATH", std::env::join_paths(path).unwrap()));
    println!("{args:?}\n{}\n{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn a_host_gets_docker_only_when_that_is_asked_for() {
    let test = "a_host_gets_docker_only_when_that_is_asked_for";
    let Some((project, sshd)) = open(test, Sudo::Runs) else { return };
    let doctor = run(&project, &sshd, &["doctor", "prod"]).expect(1).stdout;
    assert!(doctor.contains("cargo xtask setup host prod"), "{doctor}");

    let shown = run(&project, &sshd, &["setup", "host", "prod"]).expect(0).stdout;
    for text in [
        "no Docker engine",
        "sudo -n env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get",
        "sudo -n systemctl enable --now docker",
        "sudo -n usermod --append --groups docker deploy",
        "nothing was changed",
        "cargo xtask setup host prod --yes",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(sshd.asked(), Vec::<String>::new());

    let done = run(&project, &sshd, &["setup", "host", "prod", "--yes"]).expect(0).stdout;
    assert_eq!(sshd.asked(), INSTALLS);
    for text in ["Docker ", "systemd starts it", "deploy may use it", "cargo xtask doctor prod"] {
        assert!(done.contains(text), "{text}: {done}");
    }
    for more in [&["--yes", "--json"][..], &[]] {
        let again = run(&project, &sshd, &[&["setup", "host", "prod"], more].concat()).expect(0).stdout;
        assert!(again.contains("nothing to do") || again.contains("\"changed\":false,\"fit\":true"), "{again}");
    }
    assert_eq!(sshd.asked(), INSTALLS);
    let doctor = run(&project, &sshd, &["doctor", "prod"]).stdout;
    assert!(doctor.contains("at ssh://deploy@127.0.0.1") && !doctor.contains("setup host"), "{doctor}");
}

#[test]
fn a_host_that_is_away_does_not_keep_the_others_from_being_prepared() {
    let test = "a_host_that_is_away_does_not_keep_the_others_from_being_prepared";
    let Some((project, sshd)) = open(test, Sudo::Runs) else { return };
    let (here, away) = (sshd.port, devservers::port::free());
    let [host, hosts] = [
        format!("host: ssh://deploy@127.0.0.1:{here}"),
        format!("host: [ssh://deploy@127.0.0.1:{away}, ssh://deploy@127.0.0.1:{here}]"),
    ];
    project.edit("deploy.yaml", &host, &hosts);
    let shown = run(&project, &sshd, &["setup", "host", "prod"]).expect(1).stdout;
    let told = format!("try by hand: ssh -p {away} deploy@127.0.0.1");
    for text in [told.as_str(), "no Docker engine", "nothing was changed"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let done = run(&project, &sshd, &["setup", "host", "prod", "--yes"]).expect(1).stdout;
    assert_eq!(sshd.asked(), INSTALLS);
    assert!(done.contains("deploy may use it"), "{done}");
}

#[test]
fn a_user_whose_sudo_asks_for_a_password_is_told_what_to_type() {
    let test = "a_user_whose_sudo_asks_for_a_password_is_told_what_to_type";
    let Some((project, sshd)) = open(test, Sudo::Asks) else { return };
    let by_hand = format!("ssh -t -p {} deploy@127.0.0.1 'sudo env LC_ALL=C apt-get", sshd.port);
    run(&project, &sshd, &["setup", "host", "prod", "--yes"]).expect(1).says(&[
        "asks for a password",
        "nothing was changed on any host",
        &by_hand,
    ]);
    assert!(run(&project, &sshd, &["setup", "host", "prod"]).expect(0).stdout.contains(&by_hand));
    assert_eq!(sshd.asked(), Vec::<String>::new());
    run(&project, &sshd, &["setup", "host", "local"]).expect(2).says(&["local is not on Docker hosts"]);
}
