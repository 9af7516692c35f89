//! The base images of the service's image: the engine's, else those of public registries. On a machine that reaches
//! Debian's packages but no public registry, the tests build them.

use std::process::{Command, Stdio};

use crate::shop::{docker, docker_says};
use testkit::Ran;

/// Packages of the official Rust image that the service's build needs.
const COMPILERS: &str = "ca-certificates dpkg-dev g++ gcc libc6-dev make pkg-config xz-utils";

/// Packages that the official Debian image lacks too.
const LEFT_OUT: [&str; 5] =
    ["usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists"];

/// Makes sure that the engine has this image.
pub fn ensure(name: &str) {
    if has(name) || docker(&["pull", "--quiet", name]).output().is_ok_and(|output| output.status.success()) {
        return;
    }
    match name.split_once(':') {
        Some(("debian", tag)) => make_debian(name, tag.split('-').next().unwrap()),
        Some(("rust", tag)) => make_rust(name, tag.rsplit('-').next().unwrap()),
        _ => panic!("{name} is neither in the engine nor in a reachable registry, and the tests cannot build it"),
    }
}

fn has(name: &str) -> bool {
    docker(&["image", "inspect", name]).output().is_ok_and(|output| output.status.success())
}

/// A minimal Debian.
fn make_debian(name: &str, release: &str) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let mut debootstrap = Command::new("debootstrap");
    Ran::of(debootstrap.args(["--variant=minbase", release]).arg(&root)).expect(0);
    let tar = folder.path().join("root.tar");
    let mut pack = Command::new("tar");
    pack.args(LEFT_OUT.map(|path| format!("--exclude=./{path}/*"))).arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".");
    Ran::of(&mut pack).expect(0);
    docker_says(&["import", "--change", "CMD [\"bash\"]", tar.to_str().unwrap(), name]);
}

/// Debian with compilers, and this machine's Rust.
fn make_rust(name: &str, release: &str) {
    let debian = format!("debian:{release}-slim");
    ensure(&debian);
    let install = format!("apt-get update && apt-get install -y --no-install-recommends {COMPILERS}");
    let container = docker_says(&["create", "--network", "host", &debian, "sh", "-c", &install]);
    Ran::of(&mut docker(&["start", "--attach", &container])).expect(0);
    let sysroot = Ran::of(Command::new("rustc").args(["--print", "sysroot"])).expect(0).stdout;
    let mut toolchain = Command::new("tar");
    toolchain.args(["-C", sysroot.trim(), "--exclude=./share", "--transform=s,^\\.,rust,", "-cf", "-", "."]);
    let mut toolchain = toolchain.stdout(Stdio::piped()).spawn().unwrap();
    let mut copy = docker(&["cp", "-", &format!("{container}:/usr/local")]);
    Ran::of(copy.stdin(toolchain.stdout.take().unwrap())).expect(0);
    assert!(toolchain.wait().unwrap().success());
    let path = "/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let environment = format!("ENV CARGO_HOME=/usr/local/cargo PATH={path}");
    docker_says(&["commit", "--change", &environment, "--change", "CMD [\"bash\"]", &container, name]);
    docker_says(&["rm", &container]);
}
