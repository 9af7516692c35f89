//! Installs what is missing on this machine.

use serde_json::json;

use super::preflight::missing_packages;
use super::{Env, Failure};
use crate::tool::apt::Way;
use crate::tool::platform;

/// What a Docker engine takes, from Debian's packages.
const DOCKER: [(&str, &str); 2] = [("/usr/sbin/dockerd", "docker.io"), ("/usr/sbin/iptables", "iptables")];

/// What the tests take beside what the service needs: real photographs, a registry, what base images are made of, and what
/// installs Amazon's services as they are played.
const TESTS: [(&str, &str); 6] = [
    ("/usr/share/backgrounds/mate", "mate-backgrounds"),
    ("/usr/share/backgrounds/gnome", "gnome-backgrounds"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/bin/busybox", "busybox-static"),
    ("/usr/bin/pip3", "python3-pip"),
];

/// What to install beside the programs that the build and the service's features need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Also {
    /// A Docker engine.
    pub docker: bool,
    /// What the tests need, a Docker engine among it.
    pub tests: bool,
}

/// Installs the programs that the build and the service's features need, and what else is asked for.
pub async fn setup(env: &Env<'_>, also: Also, dry_run: bool) -> Result<(), Failure> {
    let mut packages = missing_packages(env.config, |_| true);
    if env.config.service.web.is_some() {
        packages.extend(
            [("node", "nodejs"), ("npm", "npm")]
                .iter()
                .filter(|(program, _)| platform::find_program(program).is_none())
                .map(|(_, package)| *package),
        );
    }
    let docker = DOCKER.iter().filter(|_| also.docker || also.tests);
    let files = docker.chain(TESTS.iter().filter(|_| also.tests));
    packages.extend(files.filter(|(path, _)| !std::path::Path::new(path).exists()).map(|(_, package)| *package));
    packages.dedup();
    if packages.is_empty() {
        env.report.result(json!({ "missing": packages }), "nothing is missing");
        return Ok(());
    }
    let names = packages.join(" ");
    let way = Way::find(&packages).await?;
    if dry_run {
        env.report.result(json!({ "missing": packages }), &format!("missing: {names}"));
        return Ok(());
    }
    env.report.note(&format!("installing {names}"));
    // A way that only a person can go fails with the command to type.
    way.install(&packages, |line| env.report.detail(line)).await?;
    env.report.result(json!({ "installed": packages }), &format!("installed: {names}"));
    Ok(())
}
