//! What a service under development gets: the settings of a deploy, but a database, folders and a port of its own. A migration that is
//! still being written would otherwise be in the database of the release that serves, which could not start again.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use secrecy::{ExposeSecret as _, SecretString};

use super::Local;
use crate::config::SuppliedBy;
use crate::fs::private_folder;
use crate::release::Settings;
use crate::report::{Ongoing, Summary};
use crate::settings::{self, Origin};
use crate::tools::port;

/// The version that the service reports.
const VERSION: &str = "development";

/// A service under development.
pub struct Development {
    /// Its settings.
    pub settings: Settings,
    /// Where it listens: on this machine alone.
    pub port: u16,
}

impl Development {
    /// The service's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Summary for Development {
    fn summary(&self) -> String {
        self.settings.summary()
    }
}

impl Local<'_> {
    /// Makes what is missing, starts what does not run.
    pub async fn provision_development(&self, step: &Ongoing) -> Result<Development> {
        let Settings { mut plain, mut secrets, provided, .. } = self.provision(step).await?;
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port = port::free(host)?;
        for setting in settings::table(self.env)?.settings {
            let Origin::Target(by) = settings::origin(self.env, &setting)? else { continue };
            let value = match by {
                SuppliedBy::Postgres => self.development_database().await?,
                SuppliedBy::DataFolder(name) => {
                    let folder = self.development_folder().join(name);
                    private_folder(&folder)?;
                    SecretString::from(folder.into_string())
                }
                SuppliedBy::Host => SecretString::from(host.to_string()),
                SuppliedBy::Port => SecretString::from(port.to_string()),
                SuppliedBy::Version => SecretString::from(VERSION),
                SuppliedBy::Random | SuppliedBy::WebFolder => continue,
            };
            if setting.secret {
                self.env.report.redactor().learn_value(&value);
                secrets.insert(setting.name, value);
            } else {
                plain.insert(setting.name, value.expose_secret().to_owned());
            }
        }
        plain.extend(self.env.config.service.port_variable.iter().map(|variable| (variable.clone(), port.to_string())));
        Ok(Development { settings: Settings { plain, secrets, provided, ..Settings::default() }, port })
    }

    /// Stops the private PostgreSQL unless a deployed service may need it.
    pub async fn stop_idle_postgres(&self) -> Result<()> {
        if self.status().await?.is_none()
            && let Some(server) = self.find_postgres().await?
            && server.is_running().await
        {
            server.stop().await?;
        }
        Ok(())
    }

    async fn development_database(&self) -> Result<SecretString> {
        let server = self.find_postgres().await?.context("the private PostgreSQL is gone")?;
        let name = format!("{}_development", self.database_name());
        server.create_database(&name).await?;
        Ok(server.service_url(&name))
    }

    fn development_folder(&self) -> Utf8PathBuf {
        self.folder.join("development")
    }
}
