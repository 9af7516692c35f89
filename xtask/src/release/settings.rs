//! The settings that a release runs with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Setting;
use crate::hash::sha256;
use crate::report::Summary;
use crate::secrets::{FingerprintKey, Secrets, has_password};

/// The values of the service's settings.
#[derive(Clone, Default)]
pub struct Settings {
    /// Those that are not secret.
    pub plain: BTreeMap<String, String>,
    /// Those that are.
    pub secrets: Secrets,
    /// Fingerprints of the secret ones.
    pub fingerprints: BTreeMap<String, String>,
    /// The names of those that the stack of the media gives.
    pub of_media: BTreeSet<String>,
    /// What the target provided, for the step's line. Its first line comes before the counts, and may be empty.
    pub provided: Option<String>,
}

impl Settings {
    /// Keeps secret values apart from the others. Refuses a setting that is not secret and has a URL with a password: records
    /// would show it.
    pub fn new<'s>(
        values: impl IntoIterator<Item = (&'s Setting, SecretString)>,
        provided: Option<String>,
    ) -> anyhow::Result<Self> {
        let (mut plain, mut secrets) = (BTreeMap::new(), Secrets::default());
        for (setting, value) in values {
            if setting.secret {
                secrets.insert(&setting.name, value);
            } else {
                ensure!(
                    !has_password(value.expose_secret()),
                    "{name} is not declared as secret, and its value is a URL with a password, which records would show\n  \
                     let the service declare {name} with `secret: true`, or take the password out of the URL",
                    name = setting.name
                );
                plain.insert(setting.name.clone(), value.expose_secret().to_owned());
            }
        }
        Ok(Self { plain, secrets, fingerprints: BTreeMap::new(), of_media: BTreeSet::new(), provided })
    }

    /// Fingerprints the secrets. `scope` keeps equal secrets of two environments apart.
    pub fn fingerprinted(self, key: &FingerprintKey, scope: &str) -> Self {
        let of = |(name, value): (&str, &_)| (name.to_owned(), key.fingerprint(scope, name, value));
        let fingerprints = self.secrets.iter().map(of).collect();
        Self { fingerprints, ..self }
    }

    /// One hash over settings and fingerprints.
    pub fn inputs(&self) -> anyhow::Result<String> {
        let json = serde_json::to_string(&(&self.plain, &self.fingerprints)).context("hash the settings")?;
        Ok(sha256(json.as_bytes()))
    }

    /// The same secrets with the plain settings of an earlier release. Those of the media stay: their stack is not taken back, so what
    /// the earlier release had may be gone.
    pub fn with_plain(&self, plain: &BTreeMap<String, String>) -> Self {
        let (of_media, earlier) = (self.plain.iter(), plain.iter());
        let of_media = of_media.filter(|(name, _)| self.of_media.contains(*name));
        let earlier = earlier.filter(|(name, _)| !self.of_media.contains(*name));
        let plain = earlier.chain(of_media).map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { plain, ..self.clone() }
    }
}

impl Summary for Settings {
    fn summary(&self) -> String {
        let counts = format!("{} settings, {} secrets", self.plain.len(), self.secrets.iter().count());
        match &self.provided {
            Some(provided) => match provided.split_once('\n') {
                Some(("", rest)) => format!("{counts}\n{rest}"),
                Some((first, rest)) => format!("{first}, {counts}\n{rest}"),
                None => format!("{provided}, {counts}"),
            },
            None => counts,
        }
    }
}
