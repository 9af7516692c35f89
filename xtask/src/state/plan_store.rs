//! The kept plan of a stack, and what approving it stands for. It lies in the environment's store, so a plan that was made
//! and approved on one machine is applied on another.
//!
//! A plan holds every value of the stack, secrets among them. OpenTofu encrypts it. A plan that is not encrypted never
//! goes into a bucket: [`PlanFile`] looks at the file itself, and [`PlanStore::keep`] refuses.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::history::new_id;
use super::store::{Put, Store};
use crate::failure::Failure;
use crate::fs::replace_file;
use crate::hash::sha256;
use crate::tools::tofu::StateVersion;

/// The record's key.
pub(super) const RECORD: &str = "plan.json";
/// The plan files, each named by its SHA-256.
pub(super) const FILES: &str = "plans/";
/// What the record begins with once the plan was taken; it is deleted right after that.
const TAKEN: &str = "taken ";

/// A plan that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The environment that it is for.
    pub environment: String,
    /// What was checked out: a commit, or a commit and the hash of what was changed since.
    pub version: String,
    /// That commit, whole.
    #[serde(default)]
    pub commit: String,
    /// A hash of the release's image, settings and secrets; none of a plan without a release.
    #[serde(default)]
    pub release: Option<String>,
    /// The SHA-256 of the plan file.
    pub plan: String,
    /// The state that it starts from.
    pub state: StateVersion,
    /// When it was made.
    pub made: Timestamp,
    /// Whether it removes the whole stack.
    #[serde(default)]
    pub destroy: bool,
}

impl PlanRecord {
    /// A digest of all of it. Saying it means having seen this plan.
    pub fn approval(&self) -> String {
        let Self { environment, version, commit, release, plan, state, made, destroy } = self;
        let StateVersion { lineage, serial } = state;
        let release = release.as_deref().unwrap_or_default();
        let destroy = if *destroy { "destroy\n" } else { "" };
        let all =
            format!("{environment}\n{version}\n{commit}\n{release}\n{plan}\n{lineage}\n{serial}\n{made}\n{destroy}");
        sha256(all.as_bytes())[..32].to_owned()
    }
}

/// The content of a plan file.
pub struct PlanFile {
    bytes: Vec<u8>,
    is_encrypted: bool,
}

impl PlanFile {
    /// Reads a plan file and finds out whether it is encrypted.
    pub fn read(path: &Utf8Path) -> Result<Self> {
        /// OpenTofu writes an encrypted plan as JSON with this field. One that is not encrypted is a zip archive.
        #[derive(Deserialize)]
        struct Encrypted<'a> {
            #[serde(borrow)]
            encrypted_data: &'a RawValue,
        }
        let bytes = fs_err::read(path)?;
        let encrypted = serde_json::from_slice::<Encrypted<'_>>(&bytes);
        let is_encrypted = encrypted.is_ok_and(|plan| plan.encrypted_data.get().len() > r#""""#.len());
        Ok(Self { bytes, is_encrypted })
    }

    /// Its SHA-256.
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }
}

/// Where the plan of an environment is kept.
#[derive(Clone, Debug)]
pub struct PlanStore {
    store: Store,
}

impl PlanStore {
    /// In this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps a plan and its record in place of any other. A plan that is not encrypted is refused where other machines, and
    /// the owner of a bucket, could read it.
    pub async fn keep(&self, record: &PlanRecord, file: &PlanFile) -> Result<()> {
        ensure!(file.sha256() == record.plan, "the plan file is not the one of its record");
        ensure!(
            file.is_encrypted || !self.store.is_shared(),
            "the plan is not encrypted, so it is not put into {}: it holds the stack's secrets",
            self.store.location()
        );
        let key = key(record)?;
        // Its name is its content, so one that is there already is the same.
        self.store.put_if_absent(&key, &file.bytes).await.context("keep the plan file")?;
        let old = self.store.get(RECORD).await.context("keep the plan's record")?;
        let bytes = serde_json::to_vec_pretty(record).context("write the plan's record as JSON")?;
        let put = self.store.put_over(RECORD, &bytes, old.map(|old| old.etag).as_deref()).await;
        if put.context("keep the plan's record")? == Put::Refused {
            bail!("another plan of {} was kept in this moment; look at it and repeat", record.environment);
        }
        self.remove_files(|file| file != key).await
    }

    /// The record, if a plan is kept.
    pub async fn find(&self) -> Result<Option<PlanRecord>> {
        let Some(object) = self.store.get(RECORD).await.context("look for a kept plan")? else { return Ok(None) };
        self.parse(&object.bytes)
    }

    /// Writes the kept plan file to `to`, where only this user can read it. Refused if the plan was replaced or applied
    /// meanwhile, or if the stored file is not the one that the record names.
    pub async fn fetch(&self, record: &PlanRecord, to: &Utf8Path) -> Result<(), Failure> {
        let object = self.store.get(&key(record)?).await.context("fetch the kept plan")?;
        let bytes = object.ok_or_else(|| self.refused(record, "the plan is no longer"))?.bytes;
        if sha256(&bytes) != record.plan {
            return Err(self.refused(record, "another plan file than the one that was planned is"));
        }
        // Through a new file of mode 0600, opened with O_EXCL: never through a file or link that another user made.
        Ok(replace_file(to, &bytes)?)
    }

    /// The same, and deletes plan and record: a plan is applied once. Of several machines that take it at the same moment,
    /// one gets it.
    pub async fn take(&self, record: &PlanRecord, to: &Utf8Path) -> Result<(), Failure> {
        self.fetch(record, to).await?;
        let gone = || self.refused(record, "the plan is no longer");
        let kept = self.store.get(RECORD).await.context("take the kept plan")?.ok_or_else(gone)?;
        if self.parse(&kept.bytes)?.as_ref() != Some(record) {
            return Err(gone());
        }
        // A deletion takes no condition in most buckets, so a write decides. Its content is this process's alone.
        let mark = format!("{TAKEN}{}", new_id()?);
        match self.store.put_if_unchanged(RECORD, mark.as_bytes(), &kept.etag).await.context("take the kept plan")? {
            Put::Written { .. } => Ok(self.clear().await?),
            Put::Refused => Err(gone()),
        }
    }

    /// Deletes the plan and its record.
    pub async fn clear(&self) -> Result<()> {
        self.store.delete(RECORD).await.context("delete the kept plan")?;
        self.remove_files(|_| true).await
    }

    fn refused(&self, record: &PlanRecord, why: &str) -> Failure {
        Failure::Refused(anyhow!(
            "nothing was applied: {why} in {}\n  make a new plan: cargo xtask tofu plan {}",
            self.store.location(),
            record.environment
        ))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Option<PlanRecord>> {
        if bytes.starts_with(TAKEN.as_bytes()) {
            return Ok(None);
        }
        let damaged = || format!("{RECORD} in {} is damaged, or of a newer toolkit", self.store.location());
        serde_json::from_slice(bytes).map(Some).with_context(damaged)
    }

    async fn remove_files(&self, is_old: impl Fn(&str) -> bool) -> Result<()> {
        for key in self.store.list(FILES).await.context("look for older plans")? {
            if is_old(&key) {
                self.store.delete(&key).await.context("delete an older plan")?;
            }
        }
        Ok(())
    }
}

fn key(record: &PlanRecord) -> Result<String> {
    let is_digest = record.plan.len() == 64 && record.plan.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_digest, "the plan's record names no SHA-256");
    Ok(format!("{FILES}{}.tfplan", record.plan))
}

#[cfg(test)]
mod tests;
