//! An issuer of OpenID Connect tokens on this machine, as GitHub's is for a job: `ACTIONS_ID_TOKEN_REQUEST_URL` answers with a signed
//! token for an audience, and the keys are where the issuer's configuration says. No service outside of this machine trusts it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::secrets::generate;

/// How long a token is valid, as at GitHub.
const LIFETIME: Duration = Duration::from_secs(300);
/// The largest request that is read.
const LARGEST: usize = 16 * 1024;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running issuer. It ends when this value is dropped.
pub struct Issuer {
    address: SocketAddr,
    bearer: SecretString,
    task: JoinHandle<()>,
}

struct Signer {
    key: EcdsaKeyPair,
    issuer: String,
    bearer: SecretString,
    claims: Map<String, Value>,
}

impl Issuer {
    /// Starts one whose tokens have these claims.
    pub async fn start(claims: Map<String, Value>) -> Result<Self> {
        let random = SystemRandom::new();
        let failed = |_| anyhow!("make a key for the issuer of tokens");
        let key = EcdsaKeyPair::generate_pkcs8(&ES256, &random).map_err(failed)?;
        let key =
            EcdsaKeyPair::from_pkcs8(&ES256, key.as_ref(), &random).map_err(|_| anyhow!("read the issuer's key"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("start the issuer of tokens")?;
        let (address, bearer) = (listener.local_addr()?, generate()?);
        let signer = Arc::new(Signer { key, issuer: format!("http://{address}"), bearer: bearer.clone(), claims });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let signer = Arc::clone(&signer);
                tokio::spawn(async move { tokio::time::timeout(PATIENCE, signer.serve(stream)).await });
            }
        });
        Ok(Self { address, bearer, task })
    }

    /// The address at which a job asks for a token.
    pub fn request_url(&self) -> String {
        format!("http://{}/token?version=1", self.address)
    }

    /// What a job shows there.
    pub fn bearer(&self) -> &SecretString {
        &self.bearer
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Signer {
    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") && bytes.len() < LARGEST {
            if stream.read_buf(&mut bytes).await? == 0 {
                break;
            }
        }
        let (status, body) = self.answer(&String::from_utf8_lossy(&bytes))?;
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        Ok(stream.shutdown().await?)
    }

    fn answer(&self, request: &str) -> Result<(&'static str, Value)> {
        let mut lines = request.split("\r\n");
        let target = lines.next().and_then(|line| line.strip_prefix("GET ")).and_then(|line| line.split(' ').next());
        let (path, query) = target.map_or(("", ""), |target| target.split_once('?').unwrap_or((target, "")));
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
        };
        Ok(match path {
            "/token" => {
                let shown = lines.find_map(header).unwrap_or_default();
                let wanted = format!("bearer {}", self.bearer.expose_secret());
                if !shown.to_ascii_lowercase().eq(&wanted.to_ascii_lowercase()) {
                    return Ok(("401 Unauthorized", json!({ "message": "this job has no such token" })));
                }
                let audience = reqwest::Url::parse(&format!("{}/?{query}", self.issuer))?
                    .query_pairs()
                    .find_map(|(name, value)| (name == "audience").then(|| value.into_owned()));
                ("200 OK", json!({ "value": self.token(audience.as_deref())? }))
            }
            "/.well-known/openid-configuration" => {
                let keys = format!("{}/.well-known/jwks", self.issuer);
                (
                    "200 OK",
                    json!({ "issuer": self.issuer, "jwks_uri": keys, "id_token_signing_alg_values_supported": ["ES256"] }),
                )
            }
            "/.well-known/jwks" => {
                // An uncompressed point: 4, x, y.
                let point = self.key.public_key().as_ref();
                let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
                let key =
                    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "job", "x": x, "y": y });
                ("200 OK", json!({ "keys": [key] }))
            }
            _ => ("404 Not Found", json!({ "message": "nothing is here" })),
        })
    }

    /// A token for an audience; without one, for the repository's owner, as at GitHub.
    fn token(&self, audience: Option<&str>) -> Result<String> {
        let now = Timestamp::now().as_second();
        let owner = self.claims.get("repository_owner").and_then(Value::as_str).unwrap_or_default();
        let audience = audience.map_or_else(|| format!("https://github.com/{owner}"), str::to_owned);
        let mut claims = self.claims.clone();
        let lifetime = i64::try_from(LIFETIME.as_secs()).context("the lifetime of a token")?;
        let id = generate()?;
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!(audience)),
            ("iat", json!(now)),
            ("nbf", json!(now)),
            ("exp", json!(now + lifetime)),
            ("jti", json!(id.expose_secret())),
        ] {
            claims.insert(name.to_owned(), value);
        }
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": "job" });
        let signed =
            format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(Value::Object(claims).to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| anyhow!("sign a token"))?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[tokio::test]
    async fn a_token_is_signed_by_the_key_that_the_issuer_shows() {
        let claims = json!({ "sub": "repo:example/shop:environment:production", "repository_owner": "example" });
        drop(rustls::crypto::ring::default_provider().install_default());
        let issuer = Issuer::start(claims.as_object().unwrap().clone()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = issuer.request_url() + "&audience=sts.amazonaws.com";
        let refused = client.get(&url).bearer_auth("another").send().await.unwrap();
        assert_eq!(refused.status(), 401);
        let answer = client.get(&url).bearer_auth(issuer.bearer().expose_secret()).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let token: Vec<&str> = answer["value"].as_str().unwrap().split('.').collect();
        let part = |at: usize| BASE64.decode(token[at]).unwrap();
        let said: Value = serde_json::from_slice(&part(1)).unwrap();
        assert_eq!(said["aud"], "sts.amazonaws.com");
        assert_eq!(said["sub"], "repo:example/shop:environment:production");
        assert!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap() == 300);

        let root = said["iss"].as_str().unwrap();
        let get = async |url: &str| -> Value { client.get(url).send().await.unwrap().json().await.unwrap() };
        let configuration = get(&format!("{root}/.well-known/openid-configuration")).await;
        let keys = get(configuration["jwks_uri"].as_str().unwrap()).await;
        let coordinate = |name: &str| BASE64.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let signed = format!("{}.{}", token[0], token[1]);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &part(2)).unwrap();
    }
}
