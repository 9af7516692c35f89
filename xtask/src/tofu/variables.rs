//! What a release hands to its stack, where deploy.yaml gives the environment `settings`, be it none of them: the variables
//! `image`, `release`, `settings` and `secrets`. What stands in deploy.yaml's `variables` or comes as `TF_VAR_…` goes before.
//!
//! They are in the environment of the program that plans, and nowhere else: an apply finds them in its encrypted plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, anyhow};
use icu_normalizer::ComposingNormalizerBorrowed;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Infra, bad};
use crate::check::Check;
use crate::config::{SettingsTable, SuppliedBy, Target};
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::inputs::Inputs;
use crate::secrets::Secrets;
use crate::tools::git;
use crate::tools::tofu::Tofu;

/// Bytes that Scaleway's provider takes of a container's variable, plain or secret (v2.81.0). The platform would take more.
const LONGEST: usize = 1000;

/// Settings of the service, by name.
type Values = BTreeMap<String, SecretString>;

/// What the service gets.
struct Handed {
    plain: Values,
    secret: Values,
    /// Secret ones that are of the process's environment.
    borrowed: Vec<String>,
    /// Those that the service does not start without and that are not here: the stack may make them.
    missing: Vec<String>,
}

/// Hands over what the stack needs of the release that is checked out, and says the names of the variables. Fails, with
/// everything that is wrong, where a value would not arrive as it is: it says names and lengths, and no value.
pub async fn hand_over(infra: &Infra<'_>, tofu: Tofu) -> Result<(Tofu, Vec<&'static str>), Failure> {
    let Some(Handed { plain, secret, borrowed, .. }) = handed(infra)? else { return Ok((tofu, Vec::new())) };
    if !borrowed.is_empty() {
        let file = format!(".env.{}", infra.name);
        infra.report.note(&format!("secrets from the environment, not from {file}: {}", borrowed.join(", ")));
    }
    let by_hand =
        |name: &str| infra.stack.variables.contains_key(name) || infra.secrets.get(&format!("TF_VAR_{name}")).is_some();
    let (mut tofu, mut names) = (tofu, Vec::new());
    if !by_hand("settings") {
        tofu = tofu.env("TF_VAR_settings", map(&plain));
        names.push("settings");
    }
    if !by_hand("secrets") {
        tofu = tofu.secret("TF_VAR_secrets", SecretString::from(map(&secret)));
        names.push("secrets");
    }
    if !by_hand("release") {
        tofu = tofu.env("TF_VAR_release", git::source(&infra.config.root).await?.version);
        names.push("release");
    }
    if infra.config.image.is_some() && !by_hand("image") {
        let image = infra.env.stop.cancels("nothing was planned", pushed(infra)).await?;
        tofu = tofu.env("TF_VAR_image", image);
        names.push("image");
    }
    Ok((tofu, names))
}

/// The same for doctor, who hands nothing over; none where the stack runs no service.
pub fn check(infra: &Infra<'_>) -> Option<Check> {
    let handed = match handed(infra) {
        Ok(handed) => handed?,
        Err(failure) => return Some(bad("settings", failure)),
    };
    let found = format!("{} settings and {} secrets for the service", handed.plain.len(), handed.secret.len());
    if handed.missing.is_empty() {
        return Some(Check::good("settings", found));
    }
    let missing = handed.missing.join(", ");
    Some(Check::doubtful(
        "settings",
        format!("{found}; it does not start without {missing}: does the stack make them?"),
    ))
}

fn handed(infra: &Infra<'_>) -> Result<Option<Handed>, Failure> {
    let environment = infra.config.environment(infra.name)?;
    let Some(settings) = &environment.settings else { return Ok(None) };
    let table = SettingsTable::load(&infra.config.root, &infra.config.service.settings)?;
    table.accept(environment)?;
    let (own, borrowed) = own_values(infra, &table)?;
    let mut handed = Handed { plain: Values::new(), secret: Values::new(), borrowed, missing: Vec::new() };
    for setting in &table.settings {
        // What a person keeps in the file goes before what is committed, as for a local environment.
        let committed = || settings.get(&setting.name).map(|value| SecretString::from(value.as_str()));
        let by_platform =
            matches!(setting.supplied_by, Some(SuppliedBy::Version | SuppliedBy::Host | SuppliedBy::Port));
        match own.get(&setting.name).cloned().or_else(committed) {
            Some(value) => {
                let into = if setting.secret { &mut handed.secret } else { &mut handed.plain };
                into.insert(setting.name.clone(), value);
            }
            None if setting.required && setting.default.is_none() && !by_platform => {
                handed.missing.push(setting.name.clone());
            }
            None => {}
        }
    }
    for value in handed.secret.values() {
        infra.report.redactor().learn_value(value);
        // As it comes back when the program repeats what it was given.
        infra.report.redactor().learn_value(&SecretString::from(text(value.expose_secret())));
    }
    let all = handed.plain.iter().chain(&handed.secret);
    let misfits: Vec<String> =
        all.filter_map(|(name, value)| misfit(&environment.target, name, value.expose_secret())).collect();
    if !misfits.is_empty() {
        let (name, misfits) = (infra.name, misfits.join("\n  "));
        let text = format!(
            "the service cannot get its settings as they are:\n  {misfits}\n  mend them in .env.{name} or deploy.yaml"
        );
        return Err(Failure::Refused(anyhow!(text)));
    }
    Ok(Some(handed))
}

/// What the user has set: settings of the service in `.env.<environment>`, and secret ones also in the process's
/// environment. Also the names of the latter.
fn own_values(infra: &Infra<'_>, table: &SettingsTable) -> Result<(Secrets, Vec<String>)> {
    let mut own = infra.env.file_values()?.clone();
    let mut borrowed = Vec::new();
    for setting in table.settings.iter().filter(|setting| setting.secret) {
        if own.get(&setting.name).is_none()
            && let Some(value) = infra.env.secret(&setting.name)?
        {
            own.insert(&setting.name, value);
            borrowed.push(setting.name.clone());
        }
    }
    Ok((own, borrowed))
}

/// The image of the commit that is checked out, by its digest, as the registry has it.
async fn pushed(infra: &Infra<'_>) -> Result<String, Failure> {
    let images = ServiceImage::find(infra.env)?;
    let inputs = Inputs::of(&images, &git::source(infra.env.root()).await?).await?;
    let (name, tag) = (images.name(), inputs.tag());
    let digest = images.repository().await?.digest_of(&tag).await;
    let digest = digest.with_context(|| format!("ask for the image {name}:{tag}"))?;
    let digest = digest.ok_or_else(|| {
        let commit = &inputs.source.commit[..12];
        Failure::Refused(anyhow!(
            "the registry has no image of {commit}, {name}:{tag}\n  put it there: cargo xtask image push {}",
            infra.name
        ))
    })?;
    Ok(format!("{name}@{digest}"))
}

/// Why a value would not arrive as it is, and what to do.
fn misfit(target: &Target, name: &str, value: &str) -> Option<String> {
    if matches!(target, Target::Scaleway(_)) && (name == "PORT" || name.starts_with("SCW_")) {
        return Some(format!("{name} is a name that the platform sets itself; take the value away"));
    }
    if matches!(target, Target::Scaleway(_)) && value.len() > LONGEST {
        return Some(format!(
            "the value of {name} has {} bytes, and Scaleway's provider takes {LONGEST} of a container's variable; \
             shorten it: a key on an elliptic curve fits, an RSA key in PEM does not",
            value.len()
        ));
    }
    if !ComposingNormalizerBorrowed::new_nfc().is_normalized(value) {
        return Some(format!(
            "the value of {name} has letters that are put together of several characters, which OpenTofu would replace by \
             others that look the same; write it in Unicode's normal form C"
        ));
    }
    None
}

/// A map of texts as an expression of HCL, which is how OpenTofu reads the value of such a variable.
fn map(values: &Values) -> String {
    let pair = |(name, value): (&String, &SecretString)| format!("{}:{}", text(name), text(value.expose_secret()));
    let pairs: Vec<String> = values.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A text as HCL and JSON write it, on one line. To HCL, `${` and `%{` in it begin what is computed: these two characters
/// never stand there as they are, so nothing before or after them can matter.
fn text(value: &str) -> String {
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c if c.is_control() || matches!(c, '$' | '%') => {
                write!(text, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scaleway;

    #[test]
    fn a_text_is_no_template_and_json_too() {
        for value in ["", "a \"b\" \\ c", "${x} %{if} $${ $$${ %%{", "two\nlines\r\ttab \u{8}\u{c}\u{85}", "ä 東 🦀"]
        {
            let written = text(value);
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), value);
            assert!(!written.contains(['$', '%', '\n', '\t']), "{written}");
        }
        assert_eq!(
            map(&[("B", "2"), ("A", "$")].map(|(name, value)| (name.to_owned(), value.into())).into()),
            r#"{"A":"\u0024","B":"2"}"#
        );
    }

    #[test]
    fn what_would_not_arrive_is_said_without_its_value() {
        let registry = "registry.example.com/shop".to_owned();
        let scaleway = Target::Scaleway(Scaleway { registry, domain: None, stack: None });
        let misfit = |name: &str, value: &str| misfit(&scaleway, name, value);
        assert_eq!(misfit("KEY", &"x".repeat(1000)), None);
        // The provider counts bytes.
        let long = misfit("KEY", &"ä".repeat(501)).unwrap();
        assert!(long.contains("KEY has 1002 bytes") && !long.contains("ää"), "{long}");
        assert!(misfit("PORT", "80").is_some() && misfit("SCW_REGION", "x").is_some());
        assert_eq!(misfit("REPORT", "1"), None);
        let composed = misfit("NAME", "e\u{301}").unwrap();
        assert!(composed.contains("NAME") && !composed.contains("e\u{301}"), "{composed}");
        assert_eq!(misfit("NAME", "\u{e9}"), None);
    }
}
