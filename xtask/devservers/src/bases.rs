//! The base images of a service's image: the engine's, else those of public registries. On a machine that reaches Debian's
//! packages but no public registry, the tests build them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Packages of the official Rust image that a build needs.
const COMPILERS: &str = "ca-certificates dpkg-dev g++ gcc libc6-dev make pkg-config xz-utils";

/// Packages that the official Debian image lacks too.
const LEFT_OUT: [&str; 5] =
    ["usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists"];

/// Makes sure that this machine's engine has the image, such as `debian:bookworm-slim` or `rust:1.95-bookworm`. Building one takes
/// minutes, root and debootstrap.
pub fn make_available(name: &str) -> Result<()> {
    if docker(&["image", "inspect", name]).is_ok() || docker(&["pull", "--quiet", name]).is_ok() {
        return Ok(());
    }
    let made = match name.split_once(':') {
        Some(("debian", tag)) => make_debian(name, tag.split('-').next().unwrap_or(tag)),
        Some(("rust", tag)) => make_rust(name, tag.rsplit('-').next().unwrap_or(tag)),
        Some(("node", tag)) => make_node(name, tag.trim_end_matches("-slim").rsplit('-').next().unwrap_or(tag)),
        _ => bail!("{name} is neither in the engine nor in a reachable registry, and the tests cannot build it"),
    };
    made.with_context(|| format!("make the base image {name}, which no reachable registry has"))
}

/// A minimal Debian.
fn make_debian(name: &str, release: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (root, tar) = (folder.path().join("root"), folder.path().join("root.tar"));
    run(Command::new("debootstrap").args(["--variant=minbase", release]).arg(&root))?;
    let mut pack = Command::new("tar");
    pack.args(LEFT_OUT.map(|path| format!("--exclude=./{path}/*"))).arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".");
    run(&mut pack)?;
    let tar = tar.to_str().context("the folder for temporary files is named in UTF-8")?;
    docker(&["import", "--change", "CMD [\"bash\"]", tar, name]).map(drop)
}

/// Debian with compilers, and this machine's Rust.
fn make_rust(name: &str, release: &str) -> Result<()> {
    let debian = format!("debian:{release}-slim");
    make_available(&debian)?;
    let install = format!("apt-get update && apt-get install -y --no-install-recommends {COMPILERS}");
    let container = docker(&["create", "--network", "host", &debian, "sh", "-c", &install])?;
    docker(&["start", "--attach", &container])?;
    let sysroot = run(Command::new("rustc").args(["--print", "sysroot"]))?;
    let mut toolchain = Command::new("tar");
    toolchain.args(["-C", &sysroot, "--exclude=./share", "--transform=s,^\\.,rust,", "-cf", "-", "."]);
    let mut toolchain = toolchain.stdout(Stdio::piped()).spawn().context("run tar")?;
    let mut copy = Command::new("docker");
    copy.args(["cp", "-", &format!("{container}:/usr/local")]);
    run(copy.stdin(toolchain.stdout.take().context("tar has a standard output")?))?;
    ensure!(toolchain.wait()?.success(), "tar could not pack this machine's Rust");
    let path = "/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let environment = format!("ENV CARGO_HOME=/usr/local/cargo PATH={path}");
    docker(&["commit", "--change", &environment, "--change", "CMD [\"bash\"]", &container, name])?;
    docker(&["rm", &container]).map(drop)
}

/// Debian with this machine's Node.js and npm.
fn make_node(name: &str, release: &str) -> Result<()> {
    let debian = format!("debian:{release}-slim");
    make_available(&debian)?;
    let program = run(Command::new("node").args(["--print", "process.execPath"]))?;
    let modules = run(Command::new("npm").args(["root", "--global"]))?;
    let container = docker(&["create", &debian])?;
    let copy = |from: &str, to: &str| docker(&["cp", "--follow-link", from, &format!("{container}:{to}")]);
    copy(&program, "/usr/bin/node")?;
    docker(&["cp", &format!("{modules}/npm"), &format!("{container}:/opt/npm")])?;
    let launcher = tempfile::NamedTempFile::new()?;
    fs_err::write(launcher.path(), "#!/bin/sh\nexec node /opt/npm/bin/npm-cli.js \"$@\"\n")?;
    fs_err::set_permissions(launcher.path(), Permissions::from_mode(0o755))?;
    copy(launcher.path().to_str().context("the folder for temporary files is named in UTF-8")?, "/usr/bin/npm")?;
    docker(&["commit", "--change", "CMD [\"node\"]", &container, name])?;
    docker(&["rm", &container]).map(drop)
}

fn docker(args: &[&str]) -> Result<String> {
    run(Command::new("docker").args(args).stdin(Stdio::null()))
}

/// The program's output, without the line break at its end.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.lines().last().unwrap_or("it says nothing"));
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
