//! Settings of OpenTofu's backend, and of the encryption of states and plans.

use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::config::{Provider, State};

/// OpenTofu's shortest passphrase, in bytes (`internal/encryption/keyprovider/pbkdf2`).
pub const SHORTEST_PASSPHRASE: usize = 16;

/// Iterations of the key derivation, PBKDF2 with HMAC-SHA-512: what OWASP's "Password Storage Cheat Sheet" recommends (2025;
/// earlier, 210,000). OpenTofu's default of 600,000 is that sheet's figure for SHA-256; its minimum is 200,000. The default
/// would triple the cost of guessing a passphrase, and the time of every command, which derives four keys or more. The
/// passphrase that users are told to generate (`openssl rand -hex 32`) has 256 random bits and cannot be guessed. Encrypted
/// data contains its number of iterations.
const ITERATIONS: u32 = 220_000;

/// OpenTofu's minimum.
const FEWEST_ITERATIONS: u32 = 200_000;

/// The settings of the `s3` backend, in the format of `-backend-config`. None is secret. OpenTofu's documentation of that
/// backend lists what to skip for services other than Amazon's.
pub fn settings(state: &State, key: &str) -> String {
    let State { bucket, region, .. } = state;
    let mut text = format!("bucket = \"{bucket}\"\nkey = \"{key}\"\nregion = \"{region}\"\nuse_lockfile = true\n");
    if let Some(endpoint) = &state.endpoint {
        writeln!(text, "endpoints = {{ s3 = \"{endpoint}\" }}").expect("writing to a String cannot fail");
    }
    let skipped: &[&str] = match state.provider {
        Provider::Aws => &["encrypt"],
        Provider::Scaleway => &[
            "use_path_style",
            "skip_credentials_validation",
            "skip_metadata_api_check",
            "skip_region_validation",
            "skip_requesting_account_id",
        ],
        Provider::R2 | Provider::Other => &[
            "use_path_style",
            "skip_credentials_validation",
            "skip_metadata_api_check",
            "skip_region_validation",
            "skip_requesting_account_id",
            "skip_s3_checksum",
        ],
    };
    for name in skipped {
        writeln!(text, "{name} = true").expect("writing to a String cannot fail");
    }
    text
}

/// How a command uses state and plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It may write.
    Writes,
    /// It only reads.
    Reads,
}

/// The value of `TF_ENCRYPTION` that encrypts state and plans with this passphrase and refuses unencrypted ones. It is one
/// line, because the redactor masks each line of a secret. Every encrypted state contains the names in it: they must never
/// change.
pub fn encryption(passphrase: &SecretString, to: Use) -> SecretString {
    // HCL reads JSON's strings as templates.
    let passphrase = passphrase.expose_secret().replace("${", "$${").replace("%{", "%%{");
    let target = json!({ "method": "method.aes_gcm.state", "enforced": true });
    // OpenTofu derives keys for writing even if it only reads. Those can be cheap: keys for reading are derived with the
    // number of iterations that is in the encrypted data.
    let (iterations, hash) = match to {
        Use::Writes => (ITERATIONS, "sha512"),
        Use::Reads => (FEWEST_ITERATIONS, "sha256"),
    };
    let provider = json!({ "passphrase": passphrase, "iterations": iterations, "hash_function": hash });
    let config = json!({
        "key_provider": { "pbkdf2": { "state": provider } },
        "method": { "aes_gcm": { "state": { "keys": "${key_provider.pbkdf2.state}" } } },
        "state": target,
        "plan": target,
    });
    SecretString::from(config.to_string())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn each_provider_has_settings_of_its_own() {
        let with = |provider, endpoint: Option<&str>| {
            let (bucket, region) = ("states".to_owned(), "fr-par".to_owned());
            let endpoint = endpoint.map(str::to_owned);
            settings(&State { bucket, region, provider, endpoint, key: None, encrypted: true }, "shop/a.tfstate")
        };
        assert_snapshot!(with(Provider::Aws, None), @r#"
        bucket = "states"
        key = "shop/a.tfstate"
        region = "fr-par"
        use_lockfile = true
        encrypt = true
        "#);
        assert_snapshot!(with(Provider::Scaleway, Some("https://s3.fr-par.scw.cloud")), @r#"
        bucket = "states"
        key = "shop/a.tfstate"
        region = "fr-par"
        use_lockfile = true
        endpoints = { s3 = "https://s3.fr-par.scw.cloud" }
        use_path_style = true
        skip_credentials_validation = true
        skip_metadata_api_check = true
        skip_region_validation = true
        skip_requesting_account_id = true
        "#);
        assert!(with(Provider::R2, Some("https://a.r2.cloudflarestorage.com")).contains("skip_s3_checksum = true"));
    }

    #[test]
    fn a_passphrase_is_no_template() {
        let text = encryption(&SecretString::from("a ${b} %{c} \"d\" \\ 0123456"), Use::Writes);
        let text = text.expose_secret();
        assert!(text.contains(r#""passphrase":"a $${b} %%{c} \"d\" \\ 0123456""#), "{text}");
        assert!(!text.contains('\n'));
    }
}
