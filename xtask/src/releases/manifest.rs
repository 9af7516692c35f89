//! `release.json`: what a release is, for programs. Its schema is `xtask/schema/release.json`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clients::github::{Asset, GitHub, Release};
use crate::fs::project;
use crate::hash::sha256;
use crate::image::ServiceImage;
use crate::image::inputs::Inputs;
use crate::release::Migration;
use crate::release::tag::short_commit_of;
use crate::tools::tofu::install;

/// The file's name among the files of a release.
pub const FILE: &str = "release.json";

/// Raised when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;
/// The largest one that is read, in bytes.
const MAX_SIZE: u64 = 4 << 20;

/// What a release is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this file.
    pub schema: u32,
    /// `project` of deploy.yaml.
    pub project: String,
    /// The release's tag.
    pub tag: String,
    /// 40 hexadecimal digits.
    pub commit: String,
    /// When the commit was made.
    pub created: Timestamp,
    /// The image.
    pub image: ReleasedImage,
    /// The service's migrations, oldest first.
    pub migrations: Vec<Migration>,
    /// The name of the last migration; none without migrations.
    pub migration_head: Option<String>,
    /// SHA-256 of the service's table of settings.
    pub settings: String,
    /// Versions of what deploys it, by name.
    pub tools: BTreeMap<String, String>,
}

/// The image of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedImage {
    /// Without a tag.
    pub name: String,
    /// `sha256:<hex>`.
    pub digest: String,
    /// A hash over what it is built from; images with the same inputs are one image.
    pub inputs: String,
    /// `linux/amd64`.
    pub platform: String,
    /// The base images with their digests, by build argument.
    pub bases: BTreeMap<String, String>,
}

impl Manifest {
    /// The one of the commit that is checked out.
    pub fn of(image: &ServiceImage<'_>, inputs: &Inputs, digest: String, tag: String) -> Result<Self> {
        let config = image.env.config;
        let migrations = Migration::of(config)?;
        let settings = match &config.service.settings {
            Some(table) => {
                let settings = project::read(&config.root, table).with_context(|| format!("read {table}"))?;
                settings.with_context(|| format!("there is no {table}"))?
            }
            None => serde_json::to_vec(&config.settings_table()?.settings).context("describe the variables as JSON")?,
        };
        let tools = [("xtask", env!("CARGO_PKG_VERSION")), ("opentofu", install::VERSION)];
        Ok(Self {
            schema: SCHEMA,
            project: config.project.clone(),
            tag,
            commit: inputs.source.commit.clone(),
            created: inputs.created,
            image: ReleasedImage {
                name: image.name(),
                digest,
                inputs: inputs.hash.clone(),
                platform: image.spec.platform.clone(),
                bases: inputs.bases.clone(),
            },
            migration_head: migrations.last().map(|last| last.name.clone()),
            migrations,
            settings: sha256(&settings),
            tools: tools.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
        })
    }

    /// The text of the file.
    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).context("write release.json")? + "\n")
    }

    /// The one of a release; none if it has no such file.
    pub async fn read(github: &GitHub, release: &Release) -> Result<Option<Self>> {
        let Some(asset) = uploaded(&release.assets, FILE) else { return Ok(None) };
        let tag = &release.tag_name;
        ensure!(asset.size <= MAX_SIZE, "{FILE} of the release {tag} has {} bytes, which is too large", asset.size);
        let bytes = github.asset(asset).await?;
        let read: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("{FILE} of the release {tag} is not understood"))?;
        ensure!(
            read.schema == SCHEMA,
            "{FILE} of the release {tag} has schema {}, and this toolkit reads {SCHEMA}",
            read.schema
        );
        read.check(tag)?;
        Ok(Some(read))
    }
}

impl Manifest {
    /// Fails if it is not of the release with this tag: those who may write releases can put any text there.
    fn check(&self, tag: &str) -> Result<()> {
        ensure!(self.tag == tag, "{FILE} of the release {tag} is of another one, {:?}", self.tag);
        let is_commit = self.commit.len() == 40 && self.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(
            is_commit && self.commit.starts_with(short_commit_of(tag)),
            "{FILE} of the release {tag} names {:?}, which is not its commit",
            self.commit
        );
        Ok(())
    }
}

/// The file with this name that was uploaded as a whole.
pub fn uploaded<'a>(assets: &'a [Asset], name: &str) -> Option<&'a Asset> {
    assets.iter().find(|asset| asset.name == name && asset.state == "uploaded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_of_its_tag_and_commit() {
        let (tag, commit) = ("build-20261129-0123456789ab", "0123456789abcdef0123456789abcdef01234567");
        let of = |tag: &str, commit: &str| Manifest {
            schema: SCHEMA,
            project: String::new(),
            tag: tag.to_owned(),
            commit: commit.to_owned(),
            created: Timestamp::UNIX_EPOCH,
            image: ReleasedImage {
                name: String::new(),
                digest: String::new(),
                inputs: String::new(),
                platform: String::new(),
                bases: BTreeMap::new(),
            },
            migrations: Vec::new(),
            migration_head: None,
            settings: String::new(),
            tools: BTreeMap::new(),
        };
        of(tag, commit).check(tag).unwrap();
        assert!(of("build-20261128-0123456789ab", commit).check(tag).is_err());
        for other in ["", "0123456789ab", "0123456789ä", &commit.replace('0', "1"), &commit.replace("4567", "456g")] {
            assert!(of(tag, other).check(tag).unwrap_err().to_string().contains("not its commit"), "{other}");
        }
    }
}
