//! The servers of this machine that back resources, each configured by environment variables.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_smithy_http_client::Builder;
use bollard::Docker;
use sha2::{Digest as _, Sha256};

use crate::dns::Resolver;
use crate::listening::Listening;
use crate::proxy::Proxies;
use crate::rollouts::Rollouts;

/// How many seconds a custom domain waits for its CNAME record. The platform waits for three minutes.
const DOMAIN_TIMEOUT: u64 = 5;

/// The key for a server that checks no signatures.
const ANYONE: (&str, &str) = ("standin", "standin");

/// A resource whose server is not configured is only stored.
pub struct Services {
    /// `STANDIN_DOCKER=1`: the engine at `DOCKER_HOST` or at the default socket.
    pub docker: Option<Docker>,
    /// `STANDIN_S3_ENDPOINT`, `STANDIN_S3_ACCESS_KEY`, `STANDIN_S3_SECRET_KEY`, `STANDIN_S3_REGION`.
    pub s3: Option<aws_sdk_s3::Client>,
    /// `STANDIN_AWS_ENDPOINT`: where the buckets and queues of the provider `aws` are.
    pub aws: Option<Aws>,
    /// `STANDIN_ROUTE53_ENDPOINT`. The server must not check signatures.
    pub route53: Option<aws_sdk_route53::Client>,
    /// `STANDIN_REGISTRY`, such as `127.0.0.1:5000`.
    pub registry: Option<String>,
    /// Where the gateway listens. The containers then have host names.
    pub gateway: Option<SocketAddr>,
    /// What the DNS server answers.
    pub dns: Option<Arc<Resolver>>,
    /// `STANDIN_DOMAIN_TIMEOUT`: how many seconds the check of a custom domain waits for its CNAME record.
    pub domain_timeout: Duration,
    /// The addresses of containers.
    pub proxies: Proxies,
    /// The containers whose new version is being started.
    pub rollouts: Rollouts,
    /// The state folder, with an absolute path.
    pub state: PathBuf,
    /// Distinguishes the containers of this state folder from those of others: the first 12 hexadecimal digits of the
    /// SHA-256 of its absolute path.
    pub state_id: String,
}

impl Services {
    /// Reads the environment. Fails if the variables of a server are incomplete or the Docker engine does not answer.
    pub async fn from_env(state: &Path, listening: &Listening) -> Result<Self> {
        fs_err::create_dir_all(state)?;
        let absolute = fs_err::canonicalize(state)?;
        let state_id = hex::encode(Sha256::digest(absolute.as_os_str().as_encoded_bytes()))[..12].to_owned();
        let use_docker = variable("STANDIN_DOCKER").is_some_and(|value| value != "0");
        let docker = if use_docker { Some(docker().await?) } else { None };
        let s3 = variable("STANDIN_S3_ENDPOINT").map(|endpoint| s3(&endpoint)).transpose()?;
        let aws = variable("STANDIN_AWS_ENDPOINT").map(|endpoint| Aws { endpoint });
        let route53 = variable("STANDIN_ROUTE53_ENDPOINT").map(|endpoint| route53(&endpoint));
        let domain_timeout = match variable("STANDIN_DOMAIN_TIMEOUT") {
            Some(text) => text.parse().context("STANDIN_DOMAIN_TIMEOUT must be a number of seconds")?,
            None => DOMAIN_TIMEOUT,
        };
        Ok(Self {
            gateway: listening.gateway_address(),
            dns: listening.resolver(route53.clone()).map(Arc::new),
            docker,
            s3,
            aws,
            route53,
            registry: variable("STANDIN_REGISTRY"),
            domain_timeout: Duration::from_secs(domain_timeout),
            proxies: Proxies::default(),
            rollouts: Rollouts::default(),
            state: absolute,
            state_id,
        })
    }
}

/// A server that has S3 and SQS at one address, and checks no signatures, such as moto.
pub struct Aws {
    pub endpoint: String,
}

impl Aws {
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        // The SDK puts the bucket's name right behind a path.
        s3_client(&format!("{}/", self.endpoint), region.to_owned(), ANYONE)
    }

    pub fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(credentials(ANYONE))
            .http_client(Builder::new().build_http());
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

/// A variable that is not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn docker() -> Result<Docker> {
    let context = "STANDIN_DOCKER is set, but no Docker engine answers at DOCKER_HOST or at the default socket. Start one \
                   (sudo systemctl start docker), or unset STANDIN_DOCKER";
    Docker::connect_with_defaults().context(context)?.negotiate_version().await.context(context)
}

fn s3(endpoint: &str) -> Result<aws_sdk_s3::Client> {
    let required = |name: &str| variable(name).with_context(|| format!("STANDIN_S3_ENDPOINT also requires {name}"));
    let (access, secret) = (required("STANDIN_S3_ACCESS_KEY")?, required("STANDIN_S3_SECRET_KEY")?);
    let region = variable("STANDIN_S3_REGION").unwrap_or_else(|| "us-east-1".to_owned());
    Ok(s3_client(endpoint, region, (&access, &secret)))
}

fn s3_client(endpoint: &str, region: String, key: (&str, &str)) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(credentials(key))
        .http_client(Builder::new().build_http())
        // The SDK's default checksums are those of AWS; other servers lack some of them.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    aws_sdk_s3::Client::from_conf(config.build())
}

fn route53(endpoint: &str) -> aws_sdk_route53::Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(credentials(ANYONE))
        .http_client(Builder::new().build_http());
    aws_sdk_route53::Client::from_conf(config.build())
}

fn credentials((access, secret): (&str, &str)) -> Credentials {
    Credentials::new(access, secret, None, None, "standin")
}
