//! openssl: makes RSA keys, which ring cannot.

use anyhow::{Context as _, Result};
use secrecy::SecretString;

use super::cmd::Cmd;

/// A new RSA key of 2048 bits, in PEM (PKCS #8). It comes through a pipe: it is in no file and no argument.
pub async fn rsa_key() -> Result<SecretString> {
    let openssl = Cmd::new("openssl").args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let made = openssl.capture_whole().await.context("make a key; the program openssl is in the package openssl")?;
    Ok(SecretString::from(made))
}
