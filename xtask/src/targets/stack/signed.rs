//! The signature of a record. A restore and a rollback apply what a record says, and the bucket that has the records may be written by
//! more than those who may deploy: without a signature they could have any image run in the service's place.

use anyhow::{Context as _, Result, anyhow};

use super::Stack;
use crate::failure::Failure;
use crate::secrets::FingerprintKey;
use crate::state::fingerprint;
use crate::state::history::Record;
use crate::tofu;

impl Stack<'_> {
    /// The key of the environment's fingerprints and signatures. It takes a part of a second, once.
    pub(super) async fn key(&self) -> Result<&FingerprintKey, Failure> {
        let make = async || {
            // The records are beside the state. Where that is encrypted, they must tell no more of the secrets than it does, and every
            // machine that deploys has its passphrase. Where it is not, it has the secrets themselves.
            Ok(match self.env.environment.stack().is_some_and(|stack| stack.state.encrypted) {
                true => FingerprintKey::of_passphrase(&tofu::passphrase(self.env)?, &self.env.store_prefix()),
                false => Box::pin(fingerprint::key(self.env.store()?)).await?,
            })
        };
        self.key.get_or_try_init(make).await
    }

    /// Signs a record that is complete.
    pub async fn sign(&self, record: &mut Record) -> Result<(), Failure> {
        record.signature = Some(self.key().await?.sign(&content(record)?));
        Ok(())
    }

    /// Refuses a record that was not signed with the environment's key, or was changed since.
    pub(super) async fn verify(&self, record: &Record) -> Result<(), Failure> {
        let key = self.key().await?;
        let content = content(record)?;
        if record.signature.as_ref().is_some_and(|signature| key.has_signed(&content, signature)) {
            return Ok(());
        }
        let (id, name, version) = (&record.id, self.env.name(), record.version());
        Err(Failure::Refused(anyhow!(
            "the record {id} of {version} is not signed with {name}'s key, or was changed after it was written, so it is not applied; if \
             TF_STATE_PASSPHRASE was replaced since or an earlier toolkit wrote the record, deploy that commit again: \
             git checkout {version} && cargo xtask deploy {name}"
        )))
    }
}

/// What is signed: all of it but the signature.
fn content(record: &Record) -> Result<Vec<u8>> {
    serde_json::to_vec(&Record { signature: None, ..record.clone() }).context("write the record as JSON")
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use secrecy::SecretString;

    use super::*;
    use crate::config::Config;
    use crate::env::Env;
    use crate::report::{Audience, Report};
    use crate::secrets::{Redactor, Secrets};
    use crate::signals::Stop;
    use crate::state::history::{Kind, Timing};

    /// The record of staging is put into production's bucket.
    #[tokio::test]
    async fn a_record_of_an_environment_is_not_accepted_by_another_with_the_same_passphrase() {
        let (_stopping, stop) = Stop::channel();
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let environment = |name: &str| {
            let state = "{ bucket: states, region: fr-par, provider: scaleway }";
            format!("  {name}: {{ target: scaleway, registry: rg.example.org/shop, stack: infra, state: {state} }}\n")
        };
        let service =
            "{ package: app, binary: app, settings: settings.json, migrations: migrations, readiness: /ready }";
        let environments = ["staging", "production"].map(environment).concat();
        fs_err::write(
            root.join("deploy.yaml"),
            format!("project: shop\nservice: {service}\nenvironments:\n{environments}"),
        )
        .unwrap();
        let config = Config::load(root).unwrap();
        let report = Report::new(Audience::Events, false, Redactor::default());
        let env = |name| {
            let mut secrets = Secrets::default();
            secrets.insert(tofu::PASSPHRASE, SecretString::from("one passphrase of both environments"));
            secrets.write_file(&root.join(format!(".env.{name}"))).unwrap();
            Env::find(&config, name, &report, &stop).unwrap()
        };
        let (staging, production) = (env("staging"), env("production"));
        let mut record = Record::begin("20260102T030405Z-000001".to_owned(), Kind::Deploy, "staging", 7);
        let staging = Stack::new(&staging);
        staging.sign(&mut record).await.unwrap();
        staging.verify(&record).await.unwrap();
        let Err(Failure::Refused(why)) = Stack::new(&production).verify(&record).await else {
            panic!("it is accepted")
        };
        assert!(why.to_string().contains("is not signed with production's key"), "{why}");
    }

    #[test]
    fn a_record_that_is_read_back_has_the_content_that_was_signed() {
        let mut record = Record::begin("20260102T030405Z-000001".to_owned(), Kind::Deploy, "production", 7);
        record.settings = [("LOG_LEVEL".to_owned(), "info".to_owned())].into();
        let seconds = (0..2000_u32).map(|millis| f64::from(millis) / 1000.0);
        let timing = |seconds| Timing { step: crate::report::Step::Apply, seconds, reused: false };
        record.steps = seconds.map(timing).collect();
        let key = FingerprintKey::new(&[7; 32]);
        record.signature = Some(key.sign(&content(&record).unwrap()));
        let json = serde_json::to_string_pretty(&record).unwrap();
        let mut read: Record = serde_json::from_str(&json).unwrap();
        let holds = |record: &Record| key.has_signed(&content(record).unwrap(), record.signature.as_ref().unwrap());
        assert!(holds(&read));
        read.digest = Some("sha256:other".to_owned());
        assert!(!holds(&read));
    }
}
