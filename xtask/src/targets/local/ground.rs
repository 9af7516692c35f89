//! What the service needs around it on this machine: its settings, its secrets, its database.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::Local;
use crate::config::{Postgres, Setting, SettingsTable, SuppliedBy};
use crate::report::{Ongoing, Report};
use crate::secrets::{self, Secrets};
use crate::targets::{Ground, inputs};
use crate::tools::postgres::{self, Choice, Installation, Server, Wanted};

/// The password of the private PostgreSQL, among the generated secrets.
const POSTGRES_PASSWORD: &str = "POSTGRES_PASSWORD";

/// Where a setting's value comes from.
pub(super) enum Source {
    /// deploy.yaml.
    Config(String),
    /// `.env.<environment>`.
    File(SecretString),
    /// This place supplies it.
    Place(SuppliedBy),
    /// The service has a default.
    Default,
    /// Nobody: it is required.
    Nobody,
}

impl Local<'_> {
    /// The service's table of settings.
    pub(super) fn table(&self) -> Result<SettingsTable> {
        Ok(SettingsTable::load(&self.config.root, &self.config.service.settings)?)
    }

    /// What the operator has put into `.env.<environment>`.
    pub(super) fn own_values(&self) -> Result<Secrets> {
        Secrets::read_file(&self.own_file())
    }

    /// `.env.<environment>`, beside deploy.yaml.
    pub(super) fn own_file(&self) -> Utf8PathBuf {
        self.config.env_file(&self.environment.name)
    }

    /// Generated secrets of this environment.
    pub fn secrets_file(&self) -> Utf8PathBuf {
        self.folder.join("secrets.env")
    }

    /// Where the value of a setting comes from. What a person has set goes before what is made here.
    pub(super) fn source(&self, setting: &Setting, own: &Secrets) -> Source {
        if let Some(value) = own.get(&setting.name) {
            return Source::File(value.clone());
        }
        if let Some(value) = self.environment.settings.as_ref().and_then(|settings| settings.get(&setting.name)) {
            return Source::Config(value.clone());
        }
        match &setting.supplied_by {
            Some(by) => Source::Place(by.clone()),
            None if setting.required && setting.default.is_none() => Source::Nobody,
            None => Source::Default,
        }
    }

    /// Whether the service needs a database that this place has to provide.
    pub(super) fn needs_postgres(&self, table: &SettingsTable, own: &Secrets) -> bool {
        let by_place = |setting| matches!(self.source(setting, own), Source::Place(SuppliedBy::Postgres));
        table.settings.iter().any(by_place)
    }

    /// Makes what is missing, starts what does not run.
    pub(super) async fn make_ground(&self, report: &Report, step: &Ongoing) -> Result<Ground> {
        let (table, own) = (self.table()?, self.own_values()?);
        let mut generated = Secrets::read_file(&self.secrets_file())?;
        report.redactor().learn(&own);
        report.redactor().learn(&generated);
        let needs_postgres = self.needs_postgres(&table, &own);
        self.generate_missing(&table, &own, needs_postgres, &mut generated)?;
        report.redactor().learn(&generated);

        let database = if needs_postgres {
            let password = generated.get(POSTGRES_PASSWORD).context("the database has no password")?;
            Some(self.start_postgres(password, step).await?)
        } else {
            None
        };
        let url = database.as_ref().map(|server| server.url(&self.database_name()));
        if let Some(url) = &url {
            report.redactor().learn_value(url);
        }

        let (mut plain, mut secret) = (BTreeMap::new(), Secrets::default());
        for setting in &table.settings {
            let name = setting.name.as_str();
            let value = match self.source(setting, &own) {
                Source::File(value) => value,
                Source::Config(value) => SecretString::from(value),
                Source::Place(SuppliedBy::Postgres) => url.clone().context("no database was started")?,
                Source::Place(SuppliedBy::Random) => {
                    generated.get(name).cloned().with_context(|| format!("{name} was not made"))?
                }
                Source::Place(SuppliedBy::Host) => SecretString::from(self.target.host.to_string()),
                Source::Place(SuppliedBy::Port) => SecretString::from(self.target.port.to_string()),
                Source::Place(SuppliedBy::DataFolder(folder)) => {
                    SecretString::from(self.data_folder(&folder)?.into_string())
                }
                // These two differ from release to release and are put in when one is started.
                Source::Place(SuppliedBy::Version | SuppliedBy::WebFolder) | Source::Default => continue,
                Source::Nobody => {
                    anyhow::bail!("{name} is required and nobody sets it; put it into {}", self.own_file())
                }
            };
            if setting.secret {
                secret.insert(name, value);
            } else {
                plain.insert(name.to_owned(), secrecy::ExposeSecret::expose_secret(&value).to_owned());
            }
        }
        let fingerprints = secret.fingerprints(&format!("{}/{}", self.config.project, self.environment.name));
        let inputs = inputs(&plain, &fingerprints)?;
        let mut said = format!("{} settings, {} secrets", plain.len(), fingerprints.len());
        if let Some(server) = &database {
            said = format!("PostgreSQL {}, {said}", server.installation().version);
            if server.place().link.is_some() {
                said.push_str(&format!(
                    "\nPostgreSQL's user may not enter {}; its data is in {}",
                    self.folder,
                    server.place().home
                ));
            }
        }
        Ok(Ground { plain, secrets: secret, fingerprints, inputs, said })
    }

    fn generate_missing(
        &self,
        table: &SettingsTable,
        own: &Secrets,
        postgres: bool,
        generated: &mut Secrets,
    ) -> Result<()> {
        let random = |setting: &&Setting| matches!(self.source(setting, own), Source::Place(SuppliedBy::Random));
        let names = table.settings.iter().filter(random).map(|setting| setting.name.as_str());
        let missing: Vec<&str> =
            names.chain(postgres.then_some(POSTGRES_PASSWORD)).filter(|name| generated.get(name).is_none()).collect();
        for name in &missing {
            generated.insert(*name, secrets::generate()?);
        }
        if missing.is_empty() { Ok(()) } else { generated.write_file(&self.secrets_file()) }
    }

    async fn start_postgres(&self, password: &SecretString, step: &Ongoing) -> Result<Server> {
        let installation = match self.located_postgres().await? {
            Some(installation) => installation.clone(),
            None => postgres::locate_or_fetch(self.choice(), |line| step.progress(line)).await?,
        };
        step.progress("starting PostgreSQL");
        let folder = self.postgres_folder();
        let server = Server::ensure(&installation, self.wanted(&folder, password)).await?;
        server.create_database(&self.database_name()).await?;
        Ok(server)
    }

    /// The private PostgreSQL as it is now, if it was ever made.
    pub(super) async fn find_postgres(&self) -> Result<Option<Server>> {
        let generated = Secrets::read_file(&self.secrets_file())?;
        let Some(password) = generated.get(POSTGRES_PASSWORD) else { return Ok(None) };
        let Some(installation) = self.located_postgres().await? else { return Ok(None) };
        Server::find(installation, self.wanted(&self.postgres_folder(), password)).await
    }

    /// PostgreSQL's programs that are on this machine already.
    pub(super) async fn located_postgres(&self) -> Result<Option<&Installation>> {
        let located = self.postgres.get_or_try_init(|| postgres::locate(self.choice())).await?;
        Ok(located.as_ref())
    }

    fn wanted<'w>(&'w self, folder: &'w Utf8Path, password: &'w SecretString) -> Wanted<'w> {
        let project = self.config.project.as_str();
        Wanted { folder, project, role: project, password }
    }

    /// Whose PostgreSQL programs deploy.yaml wants.
    pub fn choice(&self) -> Choice {
        match self.target.postgres {
            Postgres::Auto => Choice::Auto,
            Postgres::Found => Choice::Found,
            Postgres::Embedded => Choice::Embedded,
        }
    }

    /// Where the private PostgreSQL keeps its data.
    pub(super) fn postgres_folder(&self) -> Utf8PathBuf {
        self.folder.join("postgres")
    }

    /// Underscores for what a database's name needs quoting for.
    fn database_name(&self) -> String {
        self.config.project.replace('-', "_")
    }

    fn data_folder(&self, name: &str) -> Result<Utf8PathBuf> {
        let folder = self.folder.join("data").join(name);
        fs_err::create_dir_all(&folder)?;
        Ok(folder)
    }
}
