//! The key by which the service signs URLs that a content delivery network verifies: the service's setting of the kind `rsa-key`,
//! and its public half, a variable of the stack that makes the distribution.
//!
//! The private half is made once, into `.env.<environment>`, from where it goes to the platform and to GitHub as every secret setting
//! does. A PEM of 1.7 KB fits as it is: Scaleway takes secrets of 65,536 bytes, GitHub of 48 KB.
//!
//! A rotation has two keys: the next one signs nothing until the distribution accepts both.

mod key;

use anyhow::{anyhow, ensure};
use secrecy::{ExposeSecret as _, SecretString};

use self::key::PublicKey;
use super::item::Item;
use super::{Prerequisite, variable};
use crate::config::{Kind, Setting};
use crate::env::{Env, lacks};
use crate::failure::Failure;
use crate::secrets::{Secrets, of_process};
use crate::settings;
use crate::tools::openssl;

/// The variable of a stack that takes public keys, a map by their names.
const VARIABLE: &str = "signing_public_keys";

/// What is asked of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing: a key is made where there is none.
    None,
    /// A second key.
    Begin,
    /// The second key takes the first one's place.
    Finish,
}

/// The signing key of an environment.
pub struct SigningKey<'a> {
    env: &'a Env<'a>,
    /// The setting that is the private key.
    setting: String,
    rotation: Rotation,
}

/// What is done to `.env.<environment>`.
pub enum Fix {
    /// Make a key, as this variable.
    Make(String),
    /// Let the next key take the place of the one that signs.
    Switch,
}

impl<'a> SigningKey<'a> {
    /// The key of an environment that runs the service. Fails when the service has no setting for one.
    pub fn find(env: &'a Env<'a>, rotation: Rotation) -> Result<Self, Failure> {
        if env.environment.settings.is_none() {
            let missing = lacks(env.config, env.name(), "settings", |other| other.settings.is_some());
            return Err(Failure::Usage(missing));
        }
        let table = settings::table(env)?;
        let keys: Vec<&Setting> = table.settings.iter().filter(|setting| setting.kind == Kind::RsaKey).collect();
        let [setting] = keys.as_slice() else {
            let names: Vec<&str> = keys.iter().map(|setting| setting.name.as_str()).collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Failure::Usage(anyhow!(
                "the service needs one setting of the kind `rsa-key`, and has {found}"
            )));
        };
        Ok(Self { env, setting: setting.name.clone(), rotation })
    }

    /// The variable that has the second key during a rotation.
    fn next(&self) -> String {
        format!("{}_NEXT", self.setting)
    }

    /// The value that `.env.<environment>` or the process has now: a fix has changed the file.
    fn value(&self, name: &str) -> anyhow::Result<Option<SecretString>> {
        let of_file = Secrets::read_file(&self.env.file())?.get(name).cloned();
        let value = match of_file.filter(|value| !value.expose_secret().is_empty()) {
            Some(value) => Some(value),
            None => of_process(name)?,
        };
        if let Some(value) = &value {
            self.env.report.redactor().learn_value(value);
        }
        Ok(value)
    }

    /// The item of a key that is there, and its public half.
    fn present(&self, name: &str, key: &SecretString, used: &str) -> (Item<Fix>, Option<PublicKey>) {
        match PublicKey::of(key.expose_secret()) {
            Ok(public) => (Item::good(name, format!("{}, {used}", public.name)), Some(public)),
            Err(error) => {
                let next = format!("correct it, or remove it from .env.{}", self.env.name());
                (Item::refused(name, error.to_string(), "an RSA key of 2048 bits, in PEM", next), None)
            }
        }
    }

    /// The item of the second key, if a rotation is under way or asked for.
    fn of_next(
        &self,
        signs: &PublicKey,
        next: Option<SecretString>,
        holder: Option<&Holder>,
    ) -> (Option<Item<Fix>>, Option<PublicKey>) {
        let (name, file) = (self.next(), format!(".env.{}", self.env.name()));
        let Some(next) = next else {
            let item = match self.rotation {
                Rotation::None => None,
                Rotation::Begin => Some(Item::differs(
                    &name,
                    format!("not in {file}"),
                    "a second key",
                    format!("make it, in {file}; it signs nothing yet"),
                    Fix::Make(name.clone()),
                )),
                Rotation::Finish => Some(Item::good(&name, "none: no rotation is under way")),
            };
            return (item, None);
        };
        let (item, public) = self.present(&name, &next, "signs nothing yet");
        let Some(key) = public.as_ref().filter(|_| self.rotation == Rotation::Finish) else {
            return (Some(item), public);
        };
        let is_there = holder.is_none_or(|holder| holder.value.as_ref().is_some_and(|value| key.is_in(value)));
        let item = if is_there {
            let how =
                format!("make it {}, in place of {}; give the service its id at once, too", self.setting, signs.name);
            Item::differs(&name, format!("{}, signs nothing yet", key.name), "the key that signs", how, Fix::Switch)
        } else {
            let next = format!("add it to {VARIABLE} as below, and apply the stack first: its URLs would be refused");
            Item::refused(&name, format!("{} is not in {VARIABLE}", key.name), "there", next)
        };
        (Some(item), public)
    }

    /// The environment whose stack takes public keys: this one, else the only other.
    fn holder(&self) -> anyhow::Result<Option<Holder>> {
        let mut holders = Vec::new();
        for environment in self.env.config.environments.values() {
            let Some(stack) = environment.stack() else { continue };
            if variable::declares(&self.env.root().join(&stack.folder), VARIABLE)? {
                holders.push(environment);
            }
        }
        ensure!(
            holders.len() <= 1 || holders.iter().any(|holder| holder.name == self.env.name()),
            "several environments have a stack with {VARIABLE}, and {} is none of them: it cannot be told which gets the key",
            self.env.name()
        );
        let own = holders.iter().find(|holder| holder.name == self.env.name());
        let Some(holder) = own.or(holders.first().filter(|_| holders.len() == 1)) else { return Ok(None) };
        let given = self.env.other(holder).value(&format!("TF_VAR_{VARIABLE}"))?;
        let written = holder.stack().and_then(|stack| stack.variables.get(VARIABLE));
        let value = given.map(|given| given.expose_secret().to_owned()).or(written.cloned());
        Ok(Some(Holder { name: holder.name.clone(), value }))
    }
}

/// An environment whose stack takes public keys, and those that it is given.
struct Holder {
    name: String,
    value: Option<String>,
}

impl Holder {
    /// The item of the public halves.
    fn item(&self, keys: &[PublicKey]) -> Item<Fix> {
        let value = self.value.as_deref().unwrap_or_default();
        let (there, missing): (Vec<&PublicKey>, Vec<&PublicKey>) = keys.iter().partition(|key| key.is_in(value));
        let names = |keys: &[&PublicKey]| keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
        if missing.is_empty() {
            let others = value.matches("BEGIN PUBLIC KEY").count().saturating_sub(there.len());
            let more = format!("\nothers: {others}; remove each once the last URL that it signed has expired");
            return Item::good(VARIABLE, format!("{}{}", names(&there), if others > 0 { &more } else { "" }));
        }
        let entries: Vec<String> = missing.iter().map(|key| key.in_hcl()).collect();
        let entries = entries.join(", ");
        let next = match &self.value {
            None => format!("add to `variables` of {} in deploy.yaml:\n{VARIABLE}: '{{ {entries} }}'", self.name),
            Some(_) => format!("add to {VARIABLE} of {}, beside what it has:\n{entries}", self.name),
        };
        Item::by_hand(VARIABLE, format!("{} not in {}", names(&missing), self.name), "there", next)
    }
}

impl Prerequisite for SigningKey<'_> {
    type Fix = Fix;

    fn title(&self) -> String {
        format!("key that signs URLs ({})", self.env.name())
    }

    fn command(&self) -> String {
        let rotation = match self.rotation {
            Rotation::None => "",
            Rotation::Begin => " --rotate",
            Rotation::Finish => " --finish",
        };
        format!("cargo xtask bootstrap signing-key {}{rotation}", self.env.name())
    }

    async fn inspect(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let file = format!(".env.{}", self.env.name());
        let Some(signs) = self.value(&self.setting)? else {
            let how = format!("make an RSA key of 2048 bits, in {file}");
            let fix = Fix::Make(self.setting.clone());
            return Ok(vec![
                Item::differs(&self.setting, format!("not in {file}"), "a private key", how, fix),
                Item::waits(VARIABLE, "not known yet", "the public half"),
            ]);
        };
        let (item, public) = self.present(&self.setting, &signs, "the key that signs");
        let Some(signs) = public else { return Ok(vec![item]) };
        let holder = self.holder()?;
        let (of_next, next) = self.of_next(&signs, self.value(&self.next())?, holder.as_ref());
        let keys: Vec<PublicKey> = std::iter::once(signs).chain(next).collect();
        let of_public = match &holder {
            Some(holder) => holder.item(&keys),
            None => {
                let entries: Vec<String> = keys.iter().map(PublicKey::in_hcl).collect();
                let next = format!("a stack with this variable takes:\n{VARIABLE}: '{{ {} }}'", entries.join(", "));
                Item::unknown(VARIABLE, "not compared: no single stack of deploy.yaml declares it", "there", next)
            }
        };
        Ok(std::iter::once(item).chain(of_next).chain([of_public]).collect())
    }

    async fn fix(&self, fix: &Fix) -> Result<(), Failure> {
        let path = self.env.file();
        match fix {
            Fix::Make(name) => {
                let made = openssl::rsa_key().await?;
                self.env.report.redactor().learn_value(&made);
                PublicKey::of(made.expose_secret())?;
                // Another command may have made one in between, and its public half may be in use.
                if self.value(name)?.is_some() {
                    return Err(anyhow!("{name} is in {path} by now").into());
                }
                Secrets::edit_file(&path, &[(name, Some(&made))])?;
            }
            Fix::Switch => {
                let next = self.next();
                let made = Secrets::read_file(&path)?.get(&next).cloned();
                if made.is_none() {
                    return Err(anyhow!("{next} is not in {path}").into());
                }
                Secrets::edit_file(&path, &[(&self.setting, made.as_ref()), (&next, None)])?;
            }
        }
        Ok(())
    }
}
