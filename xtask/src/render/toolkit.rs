//! How a project has the toolkit, and so what its rendered files type: `cargo xtask …` where it is a package of the project's workspace,
//! `cutover …` where it is an installed program. Jobs of workflows install that first, in the version that rendered them.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::Serialize;

use crate::PACKAGE;
use crate::fs::project;
use crate::typed::{self, IN_WORKSPACE, INSTALLED};

/// The manifest of the toolkit in a workspace that has it.
const MANIFEST: &str = "xtask/Cargo.toml";

/// How a project has the toolkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolkit {
    /// In its workspace.
    InWorkspace,
    /// As a program that is installed.
    Installed,
}

/// What a job installs.
#[derive(Serialize)]
pub struct Release {
    version: &'static str,
    /// The address of the repository whose releases have the archives.
    repository: &'static str,
}

impl Toolkit {
    /// `cargo xtask` runs where the workspace has it. The installed program, which runs everywhere, looks. Many repositories have
    /// another program of that name, so it is the toolkit's only with the toolkit's address.
    pub fn of(root: &Utf8Path) -> Result<Self> {
        if !typed::is_installed() {
            return Ok(Self::InWorkspace);
        }
        let manifest = project::read(root, Utf8Path::new(MANIFEST))
            .with_context(|| format!("read {MANIFEST}"))?
            .unwrap_or_default();
        let manifest = String::from_utf8_lossy(&manifest);
        let says =
            |key: &str, value: &str| manifest.lines().any(|line| line.trim_end() == format!("{key} = \"{value}\""));
        Ok(match says("name", PACKAGE) && says("repository", env!("CARGO_PKG_REPOSITORY")) {
            true => Self::InWorkspace,
            false => Self::Installed,
        })
    }

    /// Whether jobs install a version of the program that this one is not: it was compiled from a checkout, so there may be no release of
    /// its version, or another one. The workflow `binaries` sets the variable.
    pub fn is_unreleased(self) -> bool {
        self == Self::Installed && option_env!("CUTOVER_RELEASED").is_none()
    }

    /// The command that a person types, without its arguments.
    pub fn command(self) -> &'static str {
        match self {
            Self::InWorkspace => IN_WORKSPACE,
            Self::Installed => INSTALLED,
        }
    }

    /// A text of the toolkit's own with the commands as they are typed in the project.
    pub fn in_text(self, text: &'static str) -> Cow<'static, str> {
        match self {
            Self::InWorkspace => Cow::Borrowed(text),
            Self::Installed => Cow::Owned(text.replace(IN_WORKSPACE, INSTALLED)),
        }
    }

    /// What a job has to install: this version, so that `render --check` finds there what was rendered here.
    pub fn release(self) -> Option<Release> {
        match self {
            Self::InWorkspace => None,
            Self::Installed => {
                Some(Release { version: env!("CARGO_PKG_VERSION"), repository: env!("CARGO_PKG_REPOSITORY") })
            }
        }
    }
}
