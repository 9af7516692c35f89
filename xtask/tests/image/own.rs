//! The tests' own builders do not disturb the machine's. The toolkit's unit tests use the same builders.

use std::process::Command;

use devservers::{Buildkitd, OwnEngine};
use testkit::or_skip;

#[test]
fn an_own_engine_leaves_the_machines_network_unchanged() {
    let test = "an_own_engine_leaves_the_machines_network_unchanged";
    let before = links();
    let Some(mut engine) = or_skip(test, OwnEngine::start(Some(64))) else { return };
    let address = engine.address();
    assert!(docker(&address, "{{.ServerVersion}}").status.success());
    engine.kill();
    assert!(!docker(&address, "{{.ServerVersion}}").status.success());
    drop(engine);
    assert_eq!(links(), before);
    let folder = address.trim_start_matches("unix://").trim_end_matches("/d.sock").to_owned();
    assert!(!std::path::Path::new(&folder).exists(), "{folder}");
}

#[test]
fn a_buildkitd_is_built_once_and_leaves_nothing_behind() {
    let Some(daemon) = or_skip("a_buildkitd_is_built_once_and_leaves_nothing_behind", Buildkitd::start()) else {
        return;
    };
    let socket = daemon.address().trim_start_matches("unix://").to_owned();
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    drop(daemon);
    assert!(!std::path::Path::new(&socket).parent().unwrap().exists());
}

/// The network interfaces of this machine with their numbers. A recreated interface has another number.
fn links() -> Vec<String> {
    let mut links: Vec<_> = fs_err::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            format!("{} {}", path.display(), fs_err::read_to_string(path.join("ifindex")).unwrap_or_default().trim())
        })
        // Interfaces of containers, which come and go.
        .filter(|link| !link.contains("/veth"))
        .collect();
    links.sort();
    links
}

fn docker(address: &str, format: &str) -> std::process::Output {
    Command::new("docker").args(["--host", address, "info", "--format", format]).output().unwrap()
}
