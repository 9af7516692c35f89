//! `docker-compose.<environment>.yml`: what Docker Compose runs on a Docker host. Values of settings are those of deploy.yaml; what is
//! secret is a name, whose value Docker Compose takes from `.env.<environment>`.

use std::collections::BTreeMap;

use anyhow::Result;
use camino::Utf8PathBuf;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::templates::Templates;
use crate::config::{self, Compose, Config, Environment, Setting, SettingsTable, SuppliedBy, Target};
use crate::needs::{Use, needs};

/// The port that the service listens on in its container.
const PORT: u16 = 8080;

/// One container, as the template sees it.
#[derive(Serialize)]
struct Container {
    name: &'static str,
    /// As YAML reads them.
    args: Vec<String>,
    health: Vec<String>,
    cpus: String,
    /// In MiB.
    memory: u32,
}

/// A variable of the containers.
#[derive(Serialize)]
struct Variable {
    name: String,
    /// As YAML reads it; none where Docker Compose passes on what it is given, if it is.
    value: Option<String>,
}

/// A folder that outlives the containers.
#[derive(Serialize)]
struct Volume {
    name: String,
    folder: String,
}

/// Their names and contents.
pub fn all(config: &Config, table: &SettingsTable, templates: &Templates) -> Result<Vec<(Utf8PathBuf, String)>> {
    let of_hosts = config.environments.values().filter_map(|environment| match &environment.target {
        // A deploy makes the containers of the others.
        Target::Compose(compose) if compose.proxy.is_none() => Some((environment, compose)),
        Target::Local(_) | Target::Scaleway(_) | Target::Compose(_) | Target::Easypanel(_) | Target::Media(_) => None,
    });
    let rendered = |(environment, compose): (&Environment, &Compose)| {
        let text = file(config, environment, compose, table, templates)?;
        Ok((Compose::file(&environment.name).into(), text))
    };
    of_hosts.map(rendered).collect()
}

fn file(
    config: &Config,
    environment: &Environment,
    compose: &Compose,
    table: &SettingsTable,
    templates: &Templates,
) -> Result<String> {
    let image = config.image.as_ref().map_or(&config.project, |image| &image.name);
    let mut volumes = Vec::new();
    let variables = variables(config, environment, table, &mut volumes)?;
    let worker = compose.worker.as_ref().map(|(args, worker)| container("worker", args, worker));
    let service = container("service", &config.service.args, &compose.service);
    let values = context! {
        head => templates.head("its values are from deploy.yaml and the table of settings"),
        environment => &environment.name,
        file => Compose::file(&environment.name),
        project => format!("{}-{}", config.project, environment.name),
        image => format!("{}/{image}", environment.registry().unwrap_or_default()),
        containers => Serde([service].into_iter().chain(worker).collect::<Vec<_>>()),
        port => compose.port,
        inside => PORT,
        start => environment.gate.timeout.as_secs(),
        variables => Serde(variables),
        volumes => Serde(volumes),
    };
    templates.render("docker-compose.yml", values)
}

fn container(name: &'static str, args: &[String], of: &config::Container) -> Container {
    let all = |texts: &[String]| texts.iter().map(|text| literal(text)).collect();
    Container { name, args: all(args), health: all(&of.health), cpus: of.cpus.clone(), memory: of.memory }
}

/// Every variable that the containers get, in the order of their names.
fn variables(
    config: &Config,
    environment: &Environment,
    table: &SettingsTable,
    volumes: &mut Vec<Volume>,
) -> Result<Vec<Variable>> {
    table.accept(environment)?;
    let name = &environment.name;
    let mut variables = BTreeMap::from([("PORT".to_owned(), Some(literal(&PORT.to_string())))]);
    for need in needs(config, environment, table)?.into_iter().filter(|need| need.uses.contains(&Use::Settings)) {
        let value = need.required.then(|| format!("\"${{{0}:?set {0} in .env.{name}}}\"", need.name));
        variables.insert(need.name, value);
    }
    for setting in &table.settings {
        if let Some(value) = value(setting, environment, volumes) {
            variables.insert(setting.name.clone(), Some(value));
        }
    }
    Ok(variables.into_iter().map(|(name, value)| Variable { name, value }).collect())
}

/// What deploy.yaml says of a setting, or the host supplies.
fn value(setting: &Setting, environment: &Environment, volumes: &mut Vec<Volume>) -> Option<String> {
    if let Some(value) = environment.settings.as_ref().and_then(|settings| settings.get(&setting.name)) {
        return Some(literal(value));
    }
    match setting.supplied_by.as_ref()? {
        SuppliedBy::Version => Some("\"${SERVICE_VERSION:?set it to the commit of the image}\"".to_owned()),
        SuppliedBy::Host => Some(literal("0.0.0.0")),
        SuppliedBy::Port => Some(literal(&PORT.to_string())),
        SuppliedBy::DataFolder(name) => {
            let folder = format!("/data/{name}");
            volumes.push(Volume { name: name.clone(), folder: folder.clone() });
            Some(literal(&folder))
        }
        // A person gives these, and the image has its web UI.
        SuppliedBy::Postgres | SuppliedBy::Random | SuppliedBy::WebFolder => None,
    }
}

/// A text in YAML's double quotes, which JSON's are; Docker Compose reads `$$` as `$`.
fn literal(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}
