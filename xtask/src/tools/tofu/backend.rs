//! What OpenTofu is told of where its state is, and how it is encrypted.

use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::config::{Provider, State};

/// OpenTofu's shortest passphrase, in bytes (`internal/encryption/keyprovider/pbkdf2`).
pub const SHORTEST_PASSPHRASE: usize = 16;

/// Rounds of the derivation of a key: what OWASP's "Password Storage Cheat Sheet" asks of PBKDF2 with HMAC-SHA-512 (2025;
/// before, 210,000), which is what OpenTofu derives keys by. OpenTofu's own default, 600,000, is that sheet's figure for
/// SHA-256; it takes 200,000 at least. It would triple the work of whoever guesses a passphrase, and the time of every
/// command, which derives four keys or more. The passphrase that people are told to make (`openssl rand -hex 32`) has 256
/// random bits, and needs no rounds. What was encrypted says itself with how many.
const ITERATIONS: u32 = 220_000;

/// The fewest rounds that OpenTofu takes.
const FEWEST_ITERATIONS: u32 = 200_000;

/// The settings of the `s3` backend, as `-backend-config` reads them: no secret is among them. The names of what is left
/// out for each provider are of OpenTofu's documentation of that backend.
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

/// What a command does with state and plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It may write them.
    Writes,
    /// It reads them and nothing else.
    Reads,
}

/// The value of `TF_ENCRYPTION` with which state and plans are encrypted by this passphrase, and nothing else is read. One
/// line, so that a redactor that knows it masks no ordinary line. The names in it are in every state that was written:
/// they must never change.
pub fn encryption(passphrase: &SecretString, to: Use) -> SecretString {
    // JSON's strings are templates to HCL.
    let passphrase = passphrase.expose_secret().replace("${", "$${").replace("%{", "%%{");
    let target = json!({ "method": "method.aes_gcm.state", "enforced": true });
    // With each key to read by, OpenTofu derives one to write by, and one more for states and for plans. Where nothing is
    // written, these may be cheap: what they are read by is derived as it says itself.
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
