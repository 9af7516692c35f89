//! An RSA key of 2048 bits, in PEM.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::hash::sha256;

const MODULUS_BYTES: usize = 256;

/// What is before the public key of a 2048-bit key with the usual exponent, 65537, in a SubjectPublicKeyInfo (RFC 5280): the
/// sequences, the algorithm `rsaEncryption`, and the head of the bit string.
const INFO: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    0x03, 0x82, 0x01, 0x0f, 0x00,
];
/// The length of such a public key (RFC 8017, RSAPublicKey).
const PUBLIC_BYTES: usize = 270;

/// The public half of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `key-` and the first digits of its hash: the same wherever the private half is.
    pub name: String,
    /// The lines between those of PEM, as one.
    pub base64: String,
}

impl PublicKey {
    /// The public half of a private key in PEM. No error repeats any of it.
    pub fn of(private: &str) -> Result<Self> {
        let key = match PrivateKeyDer::from_pem_slice(private.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            Ok(_) | Err(_) => bail!("no RSA private key in PEM"),
        };
        let key = key.ok().context("no valid RSA private key")?;
        let public = key.public_key();
        ensure!(
            public.modulus_len() == MODULUS_BYTES && public.as_ref().len() == PUBLIC_BYTES,
            "no RSA key of 2048 bits with the exponent 65537"
        );
        let info = [&INFO, public.as_ref()].concat();
        Ok(Self { name: format!("key-{}", &sha256(&info)[..12]), base64: BASE64_STANDARD.encode(info) })
    }

    /// An entry of a map in HCL: its name and its PEM, on one line.
    pub fn in_hcl(&self) -> String {
        let lines: Vec<&str> =
            self.base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap_or_default()).collect();
        let body = lines.join("\\n");
        format!("{} = \"-----BEGIN PUBLIC KEY-----\\n{body}\\n-----END PUBLIC KEY-----\"", self.name)
    }

    /// Whether a value in HCL has it, however its lines are written.
    pub fn is_in(&self, hcl: &str) -> bool {
        hcl.replace("\\n", "").split_whitespace().collect::<String>().contains(&self.base64)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::tools::cmd::Cmd;
    use crate::tools::openssl;

    #[tokio::test]
    async fn the_public_half_is_the_one_that_openssl_writes() {
        let private = openssl::rsa_key().await.unwrap();
        let public = PublicKey::of(private.expose_secret()).unwrap();
        let openssl = |args: &[&str]| Cmd::new("openssl").args(args.iter().copied()).input(private.expose_secret());
        let pem = openssl(&["pkey", "-pubout"]).capture().await.unwrap();
        let hcl = public.in_hcl();
        assert_eq!(hcl, format!("{} = \"{}\"", public.name, pem.replace('\n', "\\n")));
        assert!(public.is_in(&hcl) && public.is_in(&pem) && !public.is_in(&hcl.replace("QAB", "QAC")), "{hcl}");
        // As `openssl genrsa` wrote it before OpenSSL 3.
        let older = openssl(&["rsa", "-traditional"]).capture().await.unwrap();
        assert!(older.contains("BEGIN RSA PRIVATE KEY"));
        assert_eq!(PublicKey::of(&older).unwrap(), public);
    }

    #[test]
    fn what_is_no_such_key_is_refused_and_not_shown() {
        let pem = |name: &str| format!("-----BEGIN {name}-----\nc2VudGluZWw=\n-----END {name}-----\n");
        for private in ["sentinel", &pem("PRIVATE KEY"), &pem("RSA PRIVATE KEY"), &pem("EC PRIVATE KEY"), ""] {
            let error = format!("{:#}", PublicKey::of(private).unwrap_err());
            assert!(!error.contains("sentinel") && !error.contains("c2Vu"), "{error}");
        }
    }
}
