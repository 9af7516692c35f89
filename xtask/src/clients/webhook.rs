//! A webhook: one signed POST, by the scheme of Standard Webhooks (<https://www.standardwebhooks.com>), for which there are
//! libraries in most languages.
//!
//! `webhook-id` names the message, `webhook-timestamp` is in seconds since 1970, and `webhook-signature` is `v1,` and the Base64 of
//! HMAC-SHA256 over `<id>.<timestamp>.<body>`. The key is the secret; of one that begins with `whsec_`, the decoded Base64 behind it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// For the connection and the answer together.
const TIMEOUT: Duration = Duration::from_secs(3);

/// An address and the key that signs what it gets.
pub struct Webhook {
    url: Url,
    key: Option<hmac::Key>,
}

impl Webhook {
    /// The errors do not show the address or the secret.
    pub fn new(url: &SecretString, secret: Option<&SecretString>) -> Result<Self> {
        let Ok(url) = url.expose_secret().parse::<Url>() else { bail!("its address is not a URL") };
        ensure!(url.host_str().is_some(), "its address has no host");
        let key = secret.map(|secret| key(secret.expose_secret())).transpose()?;
        Ok(Self { url, key })
    }

    /// The host of its address: the rest may be secret.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Sends a message. Only an answer that says success counts; its body is not read. The errors do not show the address.
    pub async fn post(&self, id: &str, timestamp: i64, body: String) -> Result<()> {
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
            // What is signed for one receiver is not for another.
            .redirect(reqwest::redirect::Policy::none());
        if self.url.scheme() == "http" {
            // Of this machine, where no proxy is between, and no certificate is read.
            builder = builder.no_proxy().tls_certs_only([]);
        }
        let client = builder.build().context("set up the HTTP client")?;
        let mut request = client.post(self.url.clone()).header("content-type", "application/json");
        if let Some(key) = &self.key {
            let signature = STANDARD.encode(hmac::sign(key, format!("{id}.{timestamp}.{body}").as_bytes()));
            request = request
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", format!("v1,{signature}"));
        }
        let answer = request.body(body).send().await.map_err(reqwest::Error::without_url);
        match answer {
            Err(error) if error.is_timeout() => bail!("no answer within {} s", TIMEOUT.as_secs()),
            Err(error) => Err(error.into()),
            Ok(answer) if answer.status().is_redirection() => {
                bail!("it answered {}, and redirects are not followed", answer.status().as_u16())
            }
            Ok(answer) => {
                ensure!(answer.status().is_success(), "it answered {}", answer.status());
                Ok(())
            }
        }
    }
}

fn key(secret: &str) -> Result<hmac::Key> {
    let bytes = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok().context("its secret is not Base64 behind whsec_")?,
        None => secret.as_bytes().to_vec(),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}
