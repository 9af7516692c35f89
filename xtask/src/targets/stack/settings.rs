//! The service's settings, as a stack's container gets them.

use anyhow::anyhow;
use icu_normalizer::ComposingNormalizerBorrowed;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{SuppliedBy, Target};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::Settings;
use crate::settings::{self, Origin};

/// The longest value in bytes, plain or secret, that Scaleway's provider accepts (v2.81.0). The platform accepts more.
const LONGEST: usize = 1000;

/// Settings, and the names of required ones that are not set here: the stack may set them.
pub struct Resolved {
    pub settings: Settings,
    pub missing: Vec<String>,
}

/// Resolves every setting. Fails, naming all of them, if there are values that the container would not get unchanged; the
/// error has names and lengths, no values.
pub fn resolve(env: &Env<'_>) -> Result<Resolved, Failure> {
    let table = settings::table(env)?;
    table.accept(env.environment)?;
    let mut values = Vec::new();
    let (mut missing, mut of_process, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
    for setting in &table.settings {
        let name = setting.name.as_str();
        let value = match settings::origin(env, setting)? {
            Origin::File(value) => value,
            Origin::Process(value) => {
                of_process.push(name);
                value
            }
            Origin::Config(value) => SecretString::from(value),
            // The platform and the image set these.
            Origin::Target(SuppliedBy::Version | SuppliedBy::Host | SuppliedBy::Port) | Origin::Default => continue,
            Origin::Target(_) if !setting.required || setting.default.is_some() => continue,
            Origin::Target(_) | Origin::Missing => {
                missing.push(name.to_owned());
                continue;
            }
        };
        misfits.extend(misfit(&env.environment.target, name, value.expose_secret()));
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
    let settings = Settings::new(values, &env.store_prefix(), provided);
    Ok(Resolved { settings, missing })
}

/// Why the container would not get a value unchanged, and what to do.
fn misfit(target: &Target, name: &str, value: &str) -> Option<String> {
    if matches!(target, Target::Scaleway(_)) && (name == "PORT" || name.starts_with("SCW_")) {
        return Some(format!("{name} is reserved: Scaleway sets it; remove the value"));
    }
    if matches!(target, Target::Scaleway(_)) && value.len() > LONGEST {
        return Some(format!(
            "the value of {name} has {} bytes, and Scaleway's provider accepts {LONGEST}; shorten it: an elliptic-curve key \
             fits, an RSA key in PEM does not",
            value.len()
        ));
    }
    if !ComposingNormalizerBorrowed::new_nfc().is_normalized(value) {
        return Some(format!(
            "the value of {name} is not in Unicode normalization form C, and OpenTofu would normalize it; write it in that form"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scaleway;

    #[test]
    fn a_value_that_would_change_is_named_and_not_shown() {
        let registry = "registry.example.com/shop".to_owned();
        let scaleway = Target::Scaleway(Scaleway { registry, domain: None, stack: None });
        let misfit = |name: &str, value: &str| misfit(&scaleway, name, value);
        assert_eq!(misfit("KEY", &"x".repeat(1000)), None);
        // The provider counts bytes.
        let long = misfit("KEY", &"ä".repeat(501)).unwrap();
        assert!(long.contains("KEY has 1002 bytes") && !long.contains("ää"), "{long}");
        assert!(misfit("PORT", "80").is_some() && misfit("SCW_REGION", "x").is_some());
        assert_eq!(misfit("REPORT", "1"), None);
        let decomposed = misfit("NAME", "e\u{301}").unwrap();
        assert!(decomposed.contains("NAME") && !decomposed.contains("e\u{301}"), "{decomposed}");
        assert_eq!(misfit("NAME", "\u{e9}"), None);
    }
}
