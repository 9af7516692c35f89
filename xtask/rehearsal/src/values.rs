//! What stands in a rehearsal for the values that an account has: the environment's file of secrets and settings, and what is
//! missing for it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use xtask::config::{Config, Environment, Media, Rehearsal, Setting, Stack, SuppliedBy};
use xtask::needs::stack_files;
use xtask::secrets::{Secrets, generate};

/// In a value, the id of the zone that the rehearsal has made.
const ZONE: &str = "{zone_id}";

/// In a value of a setting, the address of S3 and SQS where the stack's buckets and queues of AWS are.
const AWS: &str = "{aws_endpoint}";

/// The variables that a release sets, and the credentials of the zone, which `bootstrap zone` needs too.
const SET_ELSEWHERE: [&str; 6] =
    ["image", "release", "settings", "secrets", "dns_access_key_id", "dns_secret_access_key"];

/// What the servers of a rehearsal are reached with.
#[derive(Clone, Default)]
pub struct Access {
    /// The key of the state's bucket.
    pub storage: (String, String),
    /// The registry's host, user and password, if images go through one.
    pub registry: Option<(String, String, String)>,
    /// The key of the platform's API.
    pub api: String,
    /// The address of S3 and SQS for media at AWS, where there are some.
    pub aws: Option<String>,
    /// The URL of the database, if there is one.
    pub database: Option<SecretString>,
}

/// What is missing, a line each: the name, and what to write where.
pub fn missing(config: &Config, environment: &Environment) -> Result<Vec<String>> {
    let (name, rehearsal) = (&environment.name, &environment.rehearsal);
    let mut lines = Vec::new();
    for setting in config.settings_table()?.settings.iter().filter(|setting| is_missing(setting, environment)) {
        lines.push(format!(
            "the service requires {0}; write into deploy.yaml: environments.{name}.rehearsal.settings.{0}: VALUE",
            setting.name
        ));
    }
    if !has_media_at_aws(config, environment)? {
        let names_aws = rehearsal.settings.iter().filter(|(_, value)| value.contains(AWS));
        lines.extend(names_aws.map(|(setting, _)| {
            format!("environments.{name}.rehearsal.settings.{setting} has {AWS}, and {name} has no `media` with a bucket at AWS")
        }));
    }
    if let Some(stack) = environment.stack() {
        let blocks = stack_files::blocks(&config.root.join(&stack.folder))?;
        let required = stack_files::variables(&blocks).into_iter().filter(|variable| variable.default.is_none());
        for variable in required.map(|variable| variable.name) {
            if !is_set(variable, stack, rehearsal) {
                lines.push(format!(
                    "the stack {} requires the variable {variable}; write into deploy.yaml: \
                     environments.{name}.rehearsal.variables.{variable}: VALUE",
                    stack.folder
                ));
            }
        }
    }
    if let Some(media) = of_stack(environment) {
        let blocks = stack_files::blocks(&config.root.join(&media.stack.folder))?;
        let required = stack_files::variables(&blocks).into_iter().filter(|variable| variable.default.is_none());
        let missing = required.filter(|variable| !media.stack.variables.contains_key(variable.name));
        lines.extend(missing.map(|variable| {
            format!(
                "the stack {} requires the variable {1}; write into deploy.yaml: environments.{name}.media.variables.{1}: VALUE",
                media.stack.folder, variable.name
            )
        }));
    }
    Ok(lines)
}

/// Whether the environment's media are at AWS, by the files of their stack.
pub fn has_media_at_aws(config: &Config, environment: &Environment) -> Result<bool> {
    let Some(media) = of_stack(environment) else { return Ok(false) };
    let is_at_aws = |kind: &String| ["aws_s3_bucket", "aws_sqs_queue"].contains(&kind.as_str());
    let blocks = stack_files::blocks(&config.root.join(&media.stack.folder))?;
    Ok(blocks.iter().any(|block| block.is("resource") && block.labels.get(1).is_some_and(is_at_aws)))
}

/// Whether the service has a database that is to be made for it.
pub fn takes_database(config: &Config) -> Result<bool> {
    Ok(config.settings_table()?.settings.iter().any(|setting| setting.supplied_by == Some(SuppliedBy::Postgres)))
}

/// `.env.<environment>` of the rehearsal. `zone` is the id of the zone, once there is one.
pub fn env_file(config: &Config, environment: &Environment, access: &Access, zone: Option<&str>) -> Result<Secrets> {
    let mut file = Secrets::default();
    let mut set = |name: &str, value: &str| file.insert(name, SecretString::from(value.to_owned()));
    if environment.stack().is_some() {
        let (key, secret) = &access.storage;
        set("AWS_ACCESS_KEY_ID", key);
        set("AWS_SECRET_ACCESS_KEY", secret);
        // At Scaleway one key is for the platform's API and for the state's bucket, and a workflow has that one only.
        set("SCW_ACCESS_KEY", key);
        set("SCW_SECRET_KEY", &access.api);
        set("CLOUDFLARE_API_TOKEN", "rehearsal-0000000000000000000000000000000");
        set("TF_VAR_dns_access_key_id", "AKIAREHEARSAL0000000");
        set("TF_VAR_dns_secret_access_key", "rehearsal-of-the-zone-00000000000000000");
        if environment.media.is_some() {
            set("MEDIA_TF_VAR_dns_access_key_id", "AKIAREHEARSAL0000000");
            set("MEDIA_TF_VAR_dns_secret_access_key", "rehearsal-of-the-zone-00000000000000000");
        }
        let passphrase = generate()?;
        set("TF_STATE_PASSPHRASE", passphrase.expose_secret());
    }
    if let Some((host, user, password)) = &access.registry {
        set("REGISTRY_HOST", host);
        set("REGISTRY_USERNAME", user);
        set("REGISTRY_PASSWORD", password);
    }
    for (name, value) in &environment.rehearsal.variables {
        match zone {
            Some(zone) => set(&format!("TF_VAR_{name}"), &value.replace(ZONE, zone)),
            None if value.contains(ZONE) => {}
            None => set(&format!("TF_VAR_{name}"), value),
        }
    }
    for (name, value) in &environment.rehearsal.settings {
        set(name, &value.replace(AWS, access.aws.as_deref().unwrap_or_default()));
    }
    for setting in &config.settings_table()?.settings {
        let given = environment.rehearsal.settings.contains_key(&setting.name);
        match setting.supplied_by {
            Some(SuppliedBy::Postgres) if !given => {
                file.insert(&setting.name, access.database.clone().context("the service has a database")?);
            }
            Some(SuppliedBy::Random) if !given => file.insert(&setting.name, generate()?),
            _ => {}
        }
    }
    Ok(file)
}

fn is_set(variable: &str, stack: &Stack, rehearsal: &Rehearsal) -> bool {
    SET_ELSEWHERE.contains(&variable)
        || stack.variables.contains_key(variable)
        || rehearsal.variables.contains_key(variable)
}

fn is_missing(setting: &Setting, environment: &Environment) -> bool {
    let given = |values: &BTreeMap<String, String>| values.contains_key(&setting.name);
    setting.required
        && setting.default.is_none()
        && setting.supplied_by.is_none()
        && !given(&environment.rehearsal.settings)
        && !environment.settings.as_ref().is_some_and(given)
        && !of_stack(environment).is_some_and(|media| given(&media.settings))
}

/// The media of a stack. Those of a Docker host are not rehearsed.
fn of_stack(environment: &Environment) -> Option<&Media> {
    environment.media.as_ref().filter(|_| environment.stack().is_some())
}
