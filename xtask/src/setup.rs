//! The programs that the project needs on this machine: which are missing, and how they are installed.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Config, Need, StackProgram};
use crate::tools::apt::Installer;
use crate::tools::platform;
use crate::tools::tofu::{self, install};

/// A Docker engine: a file of each Debian package, and the package.
const DOCKER: [(&str, &str); 2] = [("/usr/sbin/dockerd", "docker.io"), ("/usr/sbin/iptables", "iptables")];

/// What the tests need: photographs, a font, a browser, Tesseract's second model, a proxy, an SSH server, a pooler, a registry, the parts of base images,
/// what links networks, and the installer of the AWS stand-in.
const TESTS: [(&str, &str); 13] = [
    ("/usr/share/backgrounds/mate", "mate-backgrounds"),
    ("/usr/share/backgrounds/gnome", "gnome-backgrounds"),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "fonts-dejavu-core"),
    ("/usr/bin/chromium", "chromium"),
    ("/usr/share/tesseract-ocr/5/tessdata/fin.traineddata", "tesseract-ocr-fin"),
    ("/usr/bin/caddy", "caddy"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/sbin/pgbouncer", "pgbouncer"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/bin/busybox", "busybox-static"),
    ("/bin/ip", "iproute2"),
    ("/usr/bin/pip3", "python3-pip"),
];

/// What to install beside the programs of the build, of the service's features and of the stacks in deploy.yaml.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// A Docker engine.
    pub docker: bool,
    /// What the tests need, including a Docker engine.
    pub tests: bool,
    /// OpenTofu, even if no stack needs it.
    pub tofu: bool,
}

/// What is missing on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Debian packages.
    pub packages: Vec<String>,
    /// OpenTofu.
    pub tofu: bool,
}

impl Missing {
    /// Looks for every program that the project needs.
    pub async fn find(config: &Config, extras: Extras) -> Self {
        let mut packages = missing_packages(config, |_| true);
        let docker = DOCKER.iter().filter(|_| extras.docker || extras.tests);
        let files = docker.chain(TESTS.iter().filter(|_| extras.tests));
        packages.extend(files.filter(|(path, _)| !Utf8Path::new(path).exists()).map(|(_, package)| *package));
        packages.dedup();
        let tofu = (extras.tofu || has_tofu_stack(config)) && tofu::find(StackProgram::Tofu).await.is_err();
        Self { packages: packages.into_iter().map(str::to_owned).collect(), tofu }
    }

    /// The packages, and OpenTofu with its version.
    pub fn names(&self) -> Vec<String> {
        let tofu = self.tofu.then(|| format!("OpenTofu {}", install::VERSION));
        self.packages.iter().cloned().chain(tofu).collect()
    }

    /// Installs everything, and returns the path of OpenTofu if it was missing. `on_line` gets the installers' output. Where
    /// packages need the user's password or decision, it fails with the command to type; OpenTofu is installed all the same.
    pub async fn install(&self, on_line: impl Fn(&str)) -> Result<Option<Utf8PathBuf>> {
        let packages = self.install_packages(&on_line).await;
        let tofu = match self.tofu {
            true => Some(install_tofu(&on_line).await?),
            false => None,
        };
        packages.map(|()| tofu)
    }

    async fn install_packages(&self, on_line: impl Fn(&str)) -> Result<()> {
        if self.packages.is_empty() {
            return Ok(());
        }
        let packages: Vec<&str> = self.packages.iter().map(String::as_str).collect();
        Installer::find(&packages).await?.install(&packages, on_line).await
    }
}

/// The packages of missing programs that are needed for this.
pub fn missing_packages(config: &Config, wanted: impl Fn(&Need) -> bool) -> Vec<&str> {
    let needed = config.service.programs.iter().filter(|program| wanted(&program.need));
    let missing = needed.filter(|program| platform::find_program(&program.name).is_none());
    let mut packages: Vec<&str> = missing.map(|program| program.package.as_str()).collect();
    packages.dedup();
    packages
}

async fn install_tofu(on_line: impl Fn(&str)) -> Result<Utf8PathBuf> {
    install::install(&platform::cache_folder()?, install::RELEASES, on_line).await.context("install OpenTofu")
}

fn has_tofu_stack(config: &Config) -> bool {
    let mut stacks = config.environments.values().filter_map(|environment| environment.stack());
    stacks.any(|stack| stack.program == StackProgram::Tofu)
}
