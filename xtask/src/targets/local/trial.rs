//! A release that is started to see whether it can, on a database that is thrown away.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use secrecy::ExposeSecret as _;

use super::{Candidate, Local};
use crate::config::SuppliedBy;
use crate::failure::Failure;
use crate::fs::{Owner, own_folder, temporary_folder};
use crate::release::{Published, Settings};
use crate::settings;
use crate::sqlx::Migrated;
use crate::tools::postgres::Throwaway;

impl Local<'_> {
    /// Why no release can be tried on another database; none if one can.
    pub fn cannot_try(&self) -> Result<Option<String>> {
        if self.runs_images() {
            return Ok(Some("a release that is an image is not started on a temporary database here".to_owned()));
        }
        let table = settings::table(self.env)?;
        let has_database = table.settings.iter().any(|setting| setting.supplied_by == Some(SuppliedBy::Postgres));
        let file = self.env.config.service.table();
        Ok((!has_database).then(|| format!("no setting in {file} is `supplied_by: postgres`")))
    }

    /// Starts a release on this database, with empty data folders and with the other settings that it is given: what it
    /// does there must not reach the data of the release that serves.
    pub async fn try_on(
        &self,
        id: String,
        published: &Published,
        settings: &Settings,
        server: &Throwaway,
    ) -> Result<Candidate, Failure> {
        let (account, database) = (self.account().await?, Migrated::url(server));
        let mut spec = self.instance(id, published, settings).await?;
        // Beside the release, where its user may pass.
        let release = self.release_folder(&spec.version).await?;
        let folder = temporary_folder(".trial-", release.parent().context("a release is in no folder")?);
        let folder = folder.context("make a folder for a release that is tried")?;
        let folders = Utf8Path::from_path(folder.path()).context("the folder of releases is not named in UTF-8")?;
        if let Some(Owner { gid, .. }) = account {
            own_folder(folders, None, 0o711).context("let the release pass to its data")?;
            server.server().admit(gid).await?;
        }
        for setting in settings::table(self.env)?.settings {
            let value = match &setting.supplied_by {
                Some(SuppliedBy::Postgres) => database.expose_secret().to_owned(),
                Some(SuppliedBy::DataFolder(name)) => {
                    let own = folders.join(name);
                    own_folder(&own, account, 0o700).context("make its data folder")?;
                    own.into_string()
                }
                _ => continue,
            };
            if setting.secret {
                spec.env.remove(&setting.name);
                spec.secrets.insert(setting.name, value);
            } else {
                spec.env.insert(setting.name, value);
            }
        }
        self.env.report.redactor().learn_value(&database);
        self.start(&spec, Some(folder)).await
    }
}
