//! Which images are believed to be what their tags say.
//!
//! Everyone who may push to a repository can move its tags, and a registry can answer what it likes. So the tag of an image's
//! inputs only finds an image. It is used when a signature says that this digest was built from these inputs: an HMAC over the
//! image's name, its inputs and its digest. The signature is itself a tag of the image, `signed-<HMAC>`, which only a holder
//! of the key can name. It is looked for in the list of all tags: asking for it by name would tell the registry the name that
//! it has to answer with. An image in a Docker engine, which may have been pulled, has its signature in a file.
//!
//! The layer cache in the registry is signed in the same way: a build would take an attacker's layers from it.
//!
//! The key is derived from the passphrase of the environment's state, which all machines that deploy it have. Without a
//! passphrase each machine has a key of its own, and builds what another machine has built.

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use super::ServiceImage;
use crate::clients::registry::manifest::Manifest;
use crate::env::Env;
use crate::failure::Failure;
use crate::fs::{found, private_folder, read_text, replace_file};
use crate::secrets::{self, Secrets};
use crate::tofu::PASSPHRASE;
use crate::tools::tofu::backend::SHORTEST_PASSPHRASE;

/// How the tags begin that are signatures.
pub const TAG_PREFIX: &str = "signed-";
/// How many bytes of an HMAC are in a signature.
const SIGNATURE_BYTES: usize = 20;
/// The name of this machine's own key in its file.
const OWN_KEY: &str = "IMAGE_KEY";

/// What a digest is signed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The image with these inputs.
    Image(&'a str),
    /// The layer cache.
    Cache,
}

/// The key that signs an environment's images.
#[derive(Clone)]
pub struct Key {
    hmac: hmac::Key,
    /// Whether other machines have it, too.
    pub is_shared: bool,
}

/// Whether the registry has this environment's signature of a digest.
pub async fn is_signed(image: &ServiceImage<'_>, subject: Subject<'_>, digest: &str) -> Result<bool> {
    let Some(key) = image.key().await? else { return Ok(false) };
    let tags = image.repository().await.map_err(Failure::into_error)?.tags().await;
    let tags = tags.context("look for the image's signature in the registry")?;
    Ok(tags.contains(&key.tag(&image.name(), subject, digest)))
}

/// Signs a manifest that the registry has.
pub async fn sign(image: &ServiceImage<'_>, subject: Subject<'_>, manifest: &Manifest) -> Result<()> {
    let repository = image.repository().await.map_err(Failure::into_error)?;
    let tag = image.own_key().await?.tag(&image.name(), subject, &manifest.digest);
    if repository.digest_of(&tag).await.context("look for the image's signature")?.as_ref() != Some(&manifest.digest) {
        repository.tag(manifest, &tag).await.context("sign the image by a tag")?;
    }
    Ok(())
}

/// Whether this machine built the image of an engine with this id. Only the last build counts: an older one is in the
/// engine's layer cache.
pub async fn was_built_here(image: &ServiceImage<'_>, subject: Subject<'_>, id: &str) -> Result<bool> {
    let Some(key) = image.key().await? else { return Ok(false) };
    let written = found(read_text(last_build(image.env)))?;
    Ok(written.is_some_and(|written| written.trim_end() == key.tag(&image.name(), subject, id)))
}

/// Remembers that this machine built the image of an engine with this id.
pub async fn built_here(image: &ServiceImage<'_>, subject: Subject<'_>, id: &str) -> Result<()> {
    let signature = image.own_key().await?.tag(&image.name(), subject, id);
    private_folder(&image.env.folder())?;
    replace_file(&last_build(image.env), format!("{signature}\n").as_bytes())
}

/// Why an image without a signature is not used.
pub fn why_unsigned(key: Option<&Key>) -> String {
    match key {
        Some(Key { is_shared: true, .. }) => {
            format!("no machine with this {PASSPHRASE} has signed it as built from these inputs")
        }
        _ => format!(
            "this machine has not built it, and without {PASSPHRASE} no other machine's signature can be checked"
        ),
    }
}

impl Key {
    fn new(bytes: &[u8], is_shared: bool) -> Self {
        Self { hmac: hmac::Key::new(hmac::HMAC_SHA256, bytes), is_shared }
    }

    /// The tag that signs a digest.
    fn tag(&self, name: &str, subject: Subject<'_>, digest: &str) -> String {
        let (kind, inputs) = match subject {
            Subject::Image(inputs) => ("image", inputs),
            Subject::Cache => ("cache", ""),
        };
        // No part can have a line break in it.
        let signature = hmac::sign(&self.hmac, [kind, name, inputs, digest].join("\n").as_bytes());
        format!("{TAG_PREFIX}{}", hex::encode(&signature.as_ref()[..SIGNATURE_BYTES]))
    }
}

impl ServiceImage<'_> {
    /// The key of the environment's signatures. None where no passphrase is set and this machine has signed nothing yet.
    pub async fn key(&self) -> Result<Option<Key>> {
        if let Some(passphrase) = self.env.secret(PASSPHRASE)? {
            let derived = self.shared_key.get_or_try_init(async || derive(passphrase, &self.env.config.project).await);
            return Ok(Some(derived.await?.clone()));
        }
        let own = Secrets::read_file(&own_key_file(self.env))?;
        Ok(own.get(OWN_KEY).map(|key| Key::new(key.expose_secret().as_bytes(), false)))
    }

    /// The same; makes this machine's key if there is none.
    async fn own_key(&self) -> Result<Key> {
        if let Some(key) = self.key().await? {
            return Ok(key);
        }
        let (key, mut secrets) = (secrets::generate()?, Secrets::default());
        secrets.insert(OWN_KEY, key.clone());
        private_folder(&self.env.folder())?;
        secrets.write_file(&own_key_file(self.env))?;
        Ok(Key::new(key.expose_secret().as_bytes(), false))
    }
}

/// The key of all machines that have a passphrase.
async fn derive(passphrase: SecretString, project: &str) -> Result<Key> {
    let (length, least) = (passphrase.expose_secret().len(), SHORTEST_PASSPHRASE);
    ensure!(
        length >= least,
        "{PASSPHRASE} has {length} bytes; at least {least} are required\n  to generate one: openssl rand -hex 32"
    );
    let salt = format!("signatures of the images of {project}");
    let derived = tokio::task::spawn_blocking(move || {
        // Everyone who may read the registry sees signatures, and could try passphrases on one.
        Key::new(&secrets::derived_key(&passphrase, &salt, secrets::ROUNDS), true)
    });
    derived.await.context("derive the key of signatures")
}

fn own_key_file(env: &Env<'_>) -> Utf8PathBuf {
    env.folder().join("image-key.env")
}

fn last_build(env: &Env<'_>) -> Utf8PathBuf {
    env.folder().join("image-built")
}

#[cfg(test)]
mod tests;
