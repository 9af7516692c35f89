//! What the service needs at runtime on this machine: settings, secrets, database.

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::Local;
use crate::config::{Setting, SettingsTable, SuppliedBy};
use crate::failure::Failure;
use crate::fs::Owner;
use crate::release::Settings;
use crate::report::Ongoing;
use crate::secrets::{self, Secrets};
use crate::settings::{self, Origin};
use crate::state::fingerprint;
use crate::tools::postgres::{self, Installation, Server, ServerSpec};

/// The password of the private PostgreSQL, among the generated secrets.
const POSTGRES_PASSWORD: &str = "POSTGRES_PASSWORD";

impl Local<'_> {
    /// Whether the service needs a database that this target has to provide.
    pub(super) fn needs_postgres(&self, table: &SettingsTable) -> Result<bool> {
        self.supplies(table, |by| *by == SuppliedBy::Postgres).map(|settings| !settings.is_empty())
    }

    /// Makes what is missing, starts what does not run.
    pub async fn provision(&self, step: &Ongoing) -> Result<Settings> {
        self.close_folders()?;
        let table = settings::table(self.env)?;
        let redactor = self.env.report.redactor();
        let needs_postgres = self.needs_postgres(&table)?;
        let generated = self.generate_missing(&table, needs_postgres)?;
        redactor.learn(&generated);
        let database = if needs_postgres {
            let password = generated.get(POSTGRES_PASSWORD).context("the database has no password")?;
            Some(self.start_postgres(password, step).await?)
        } else {
            None
        };
        let url = database.as_ref().map(|server| server.service_url(&self.database_name()));
        if let (Some(url), Some(server)) = (&url, &database) {
            redactor.learn_value(url);
            redactor.learn_value(&server.service_password());
        }
        let mut values = Vec::new();
        for setting in &table.settings {
            if let Some(value) = self.value(setting, url.as_ref(), &generated).await? {
                if setting.secret {
                    redactor.learn_value(&value);
                }
                values.push((setting, value));
            }
        }
        let mut provided = database.as_ref().map(|server| {
            let version = format!("PostgreSQL {}", server.installation().version);
            match &server.layout().link {
                None => version,
                Some(_) => {
                    let home = &server.layout().home;
                    format!("{version}\nPostgreSQL's user may not enter {}; its data is in {home}", self.folder)
                }
            }
        });
        if let (Some(_), Ok(home)) = (self.account().await?, fs_err::read_link(self.data_folders())) {
            let (first, folder, home) = (provided.unwrap_or_default(), &self.folder, home.display());
            provided = Some(format!("{first}\nthe service's user may not enter {folder}; its data is in {home}"));
        }
        let store = self.env.store().map_err(Failure::into_error)?;
        let key = fingerprint::key(store).await?;
        Ok(Settings::new(values, provided)?.fingerprinted(&key, &self.env.store_prefix()))
    }

    /// The value of a setting, if the target sets it.
    async fn value(
        &self,
        setting: &Setting,
        url: Option<&SecretString>,
        generated: &Secrets,
    ) -> Result<Option<SecretString>> {
        let name = setting.name.as_str();
        Ok(Some(match settings::origin(self.env, setting)? {
            Origin::File(value) | Origin::Process(value) => value,
            Origin::Config(value) => SecretString::from(value),
            Origin::Target(SuppliedBy::Postgres) => url.cloned().context("no database was started")?,
            Origin::Target(SuppliedBy::Random) => {
                generated.get(name).cloned().with_context(|| format!("{name} was not generated"))?
            }
            Origin::Target(SuppliedBy::Host) => SecretString::from(self.target.host.to_string()),
            // It is a volume of the container.
            Origin::Target(SuppliedBy::DataFolder(_)) if self.runs_images() => return Ok(None),
            Origin::Target(SuppliedBy::DataFolder(folder)) => {
                SecretString::from(self.data_folder(&folder).await?.into_string())
            }
            // These differ from process to process and are set when one is started.
            Origin::Target(SuppliedBy::Version | SuppliedBy::WebFolder | SuppliedBy::Port)
            | Origin::Default
            | Origin::Media => {
                return Ok(None);
            }
            Origin::Missing => bail!("{name} is required and has no value; put it into {}", self.env.file()),
        }))
    }

    /// The generated secrets of the environment, with those that were missing.
    fn generate_missing(&self, table: &SettingsTable, needs_postgres: bool) -> Result<Secrets> {
        let mut generated = Secrets::read_file(&self.env.generated_file())?;
        let mut names = self.supplies(table, |by| *by == SuppliedBy::Random)?;
        if needs_postgres {
            names.push(POSTGRES_PASSWORD);
        }
        names.retain(|name| generated.get(name).is_none());
        let variables = &self.env.config.service.env;
        for name in &names {
            let variable = variables.iter().find(|variable| variable.setting.name == *name);
            let value = match variable.and_then(|variable| variable.bytes) {
                Some(bytes) => secrets::random(bytes),
                None => secrets::generate(),
            };
            generated.insert(*name, value?);
        }
        if !names.is_empty() {
            generated.write_file(&self.env.generated_file())?;
        }
        Ok(generated)
    }

    /// The settings that this target supplies, and that `wanted` picks.
    fn supplies<'t>(&self, table: &'t SettingsTable, wanted: impl Fn(&SuppliedBy) -> bool) -> Result<Vec<&'t str>> {
        let mut names = Vec::new();
        for setting in &table.settings {
            if matches!(settings::origin(self.env, setting)?, Origin::Target(by) if wanted(&by)) {
                names.push(setting.name.as_str());
            }
        }
        Ok(names)
    }

    async fn start_postgres(&self, password: &SecretString, step: &Ongoing) -> Result<Server> {
        let installation = match self.located_postgres().await? {
            Some(installation) => installation.clone(),
            None => postgres::locate_or_fetch(self.env.postgres(), |line| step.progress(line)).await?,
        };
        step.progress("starting PostgreSQL");
        let folder = self.postgres_folder();
        let server = Server::ensure(&installation, self.spec(&folder, password)).await?;
        server.create_database(&self.database_name()).await?;
        if let Some(Owner { gid, .. }) = self.account().await? {
            server.admit(gid).await?;
        }
        Ok(server)
    }

    /// The private PostgreSQL as it is now, if it was ever made.
    pub(super) async fn find_postgres(&self) -> Result<Option<Server>> {
        let generated = Secrets::read_file(&self.env.generated_file())?;
        let Some(password) = generated.get(POSTGRES_PASSWORD) else { return Ok(None) };
        let Some(installation) = self.located_postgres().await? else { return Ok(None) };
        Server::find(installation, self.spec(&self.postgres_folder(), password)).await
    }

    /// PostgreSQL's programs that are on this machine already.
    pub(super) async fn located_postgres(&self) -> Result<Option<&Installation>> {
        let located = self.postgres.get_or_try_init(|| postgres::locate(self.env.postgres())).await?;
        Ok(located.as_ref())
    }

    fn spec<'w>(&'w self, folder: &'w Utf8Path, password: &'w SecretString) -> ServerSpec<'w> {
        let project = self.env.config.project.as_str();
        ServerSpec { folder, project, role: project, password }
    }

    /// Where the private PostgreSQL keeps its data.
    pub(super) fn postgres_folder(&self) -> Utf8PathBuf {
        self.folder.join("postgres")
    }

    /// Underscores for what a database's name needs quoting for.
    pub(super) fn database_name(&self) -> String {
        self.env.config.project.replace('-', "_")
    }
}
