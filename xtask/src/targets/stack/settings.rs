//! The service's settings, as a stack's container gets them.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow};
use icu_normalizer::ComposingNormalizerBorrowed;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{SuppliedBy, Target};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{MediaSettings, Settings};
use crate::report::Step;
use crate::settings::{self, Origin};
use crate::tofu;

/// The longest plain value, in characters, that Scaleway's platform accepts.
const LONGEST_PLAIN: usize = 1000;
/// The longest secret, in bytes, that Scaleway's platform accepts.
const LONGEST_SECRET: usize = 65_536;

/// Settings, and the names of required ones that are not set here: the stack may set them.
pub struct Resolved {
    pub settings: Settings,
    pub missing: Vec<String>,
}

/// What the stack of the media gives now, read in a step of its own. Empty where there is no such stack.
pub async fn media(env: &Env<'_>) -> Result<MediaSettings, Failure> {
    if env.environment.media.is_none() {
        return Ok(MediaSettings::default());
    }
    let read = async |step: &_| Box::pin(tofu::media::settings(env, step, &env.stop)).await;
    env.report.step(Step::Media, read).await
}

/// Resolves every setting. Without `media`, those of the media are left out. Fails, naming all of them, if there are values that the container would not get unchanged; the
/// error has names and lengths, no values.
pub fn resolve(env: &Env<'_>, media: Option<&MediaSettings>) -> Result<Resolved, Failure> {
    let table = settings::table(env)?;
    table.accept(env.environment)?;
    let mut values = Vec::new();
    let (mut missing, mut of_process, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_media = BTreeSet::new();
    for setting in &table.settings {
        let name = setting.name.as_str();
        let value = match settings::origin(env, setting)? {
            Origin::File(value) => value,
            Origin::Process(value) => {
                of_process.push(name);
                value
            }
            Origin::Config(value) => SecretString::from(value),
            Origin::Media => {
                let Some(MediaSettings(media)) = media else { continue };
                let output = media.get(name).with_context(|| format!("the stack of the media gave no {name}"))?;
                if output.sensitive && !setting.secret {
                    misfits.push(format!(
                        "{name} is not declared as secret, and the stack of the media gives it by a sensitive output; let the service \
                         declare it with `secret: true`"
                    ));
                }
                of_media.insert(name.to_owned());
                output.text.clone()
            }
            // The platform and the image set these.
            Origin::Target(SuppliedBy::Version | SuppliedBy::Host | SuppliedBy::Port) | Origin::Default => continue,
            Origin::Target(_) if !setting.required || setting.default.is_some() => continue,
            Origin::Target(_) | Origin::Missing => {
                missing.push(name.to_owned());
                continue;
            }
        };
        misfits.extend(misfit(&env.environment.target, name, setting.secret, value.expose_secret()));
        if setting.secret {
            env.report.redactor().learn_value(&value);
        }
        values.push((setting, value));
    }
    if !misfits.is_empty() {
        let (name, misfits) = (env.name(), misfits.join("\n  "));
        return Err(Failure::Refused(anyhow!(
            "the container would not get these settings unchanged:\n  {misfits}\n  change them in .env.{name} or deploy.yaml"
        )));
    }
    let provided = (!of_process.is_empty())
        .then(|| format!("\nsecrets from the environment, not from .env.{}: {}", env.name(), of_process.join(", ")));
    let settings = Settings { of_media, ..Settings::new(values, provided)? };
    Ok(Resolved { settings, missing })
}

/// Why the container would not get a value unchanged, and what to do.
fn misfit(target: &Target, name: &str, secret: bool, value: &str) -> Option<String> {
    match target {
        // An engine takes every text as it is.
        Target::Local(_) | Target::Compose(_) | Target::Media(_) => return None,
        Target::Easypanel(_) => return misfit_at_easypanel(name, value),
        Target::Scaleway(_) => {
            if let Some(misfit) = misfit_at_scaleway(name, secret, value) {
                return Some(misfit);
            }
        }
    }
    if !ComposingNormalizerBorrowed::new_nfc().is_normalized(value) {
        return Some(format!(
            "the value of {name} is not in Unicode normalization form C, and OpenTofu would normalize it; write it in that form"
        ));
    }
    None
}

fn misfit_at_scaleway(name: &str, secret: bool, value: &str) -> Option<String> {
    if name == "PORT" || name.starts_with("SCW_") {
        return Some(format!("{name} is reserved: Scaleway sets it; remove the value"));
    }
    if secret && value.is_empty() {
        return Some(format!(
            "the value of {name} is empty: Scaleway's provider does not send an empty secret, and the container would keep the \
             previous value; remove the name"
        ));
    }
    let (length, most, unit) = match secret {
        true => (value.len(), LONGEST_SECRET, "bytes"),
        false => (value.chars().count(), LONGEST_PLAIN, "characters"),
    };
    let kind = if secret { "a secret" } else { "a setting that is not secret" };
    (length > most)
        .then(|| format!("the value of {name} has {length} {unit}, and Scaleway accepts {most} of {kind}; shorten it"))
}

/// The panel keeps variables as lines of a `.env` file, and replaces names such as `$(PROJECT_NAME)`
/// (<https://easypanel.io/docs/services/app>). How it reads quotes and comments is not documented.
fn misfit_at_easypanel(name: &str, value: &str) -> Option<String> {
    let what = if value.contains(['\n', '\r']) {
        "a line break"
    } else if value.contains("$(") {
        "`$(`"
    } else if value.contains(" #") || value.starts_with('#') {
        "a `#` at its beginning or after a space"
    } else if value.starts_with(['"', '\'', '`', ' ', '\t']) || value.ends_with([' ', '\t']) {
        "a quotation mark at its beginning, or a space around it"
    } else {
        return None;
    };
    Some(format!("the value of {name} has {what}, which Easypanel may read as something else; write it without"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scaleway;

    #[test]
    fn a_value_that_would_change_is_named_and_not_shown() {
        let registry = "registry.example.com/shop".to_owned();
        let scaleway = Target::Scaleway(Scaleway { registry, domain: None, stack: None });
        let secret = |value: &str| misfit(&scaleway, "KEY", true, value);
        let misfit = |name: &str, value: &str| misfit(&scaleway, name, false, value);
        // Plain values are counted in characters, secrets in bytes.
        assert_eq!(misfit("NOTE", &"ä".repeat(1000)), None);
        let long = misfit("NOTE", &"ä".repeat(1001)).unwrap();
        assert!(long.contains("NOTE has 1001 characters, and Scaleway accepts 1000") && !long.contains("ää"), "{long}");
        assert_eq!(secret(&"ä".repeat(32_768)), None);
        let long = secret(&"ä".repeat(32_769)).unwrap();
        assert!(long.contains("KEY has 65538 bytes, and Scaleway accepts 65536") && !long.contains("ää"), "{long}");
        // An RSA key of 4096 bits in PEM.
        assert_eq!(secret(&"x".repeat(3272)), None);
        assert!(secret("").unwrap().contains("KEY is empty"));
        assert_eq!(misfit("NOTE", ""), None);
        assert!(misfit("PORT", "80").is_some() && misfit("SCW_REGION", "x").is_some());
        assert_eq!(misfit("REPORT", "1"), None);
        let decomposed = misfit("NAME", "e\u{301}").unwrap();
        assert!(decomposed.contains("NAME") && !decomposed.contains("e\u{301}"), "{decomposed}");
        assert_eq!(misfit("NAME", "\u{e9}"), None);
    }

    #[test]
    fn a_value_that_a_panel_may_read_as_something_else_is_named_and_not_shown() {
        for value in ["a\nb", "a\r", "$(PROJECT_NAME)", "a #b", "#a", "\"a\"", "'a'", "`a`", " a", "a "] {
            let said = misfit_at_easypanel("KEY", value).unwrap();
            assert!(said.starts_with("the value of KEY has") && !said.contains("PROJECT_NAME"), "{said}");
        }
        for value in ["", "a#b=c", "postgres://u:p@h/d?x=%20", "$a", "it's \"so\""] {
            assert_eq!(misfit_at_easypanel("KEY", value), None, "{value}");
        }
    }
}
