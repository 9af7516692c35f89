//! What this machine has for the kinds of resources that are more than stored: each by a variable of the environment.

use std::path::Path;

use anyhow::{Context as _, Result};
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_smithy_http_client::Builder;
use bollard::Docker;
use sha2::{Digest as _, Sha256};

use crate::act::gateway::Gateways;

/// What there is. Who lacks something keeps its resources as files.
#[derive(Debug)]
pub struct Machine {
    /// Runs containers: with `STANDIN_DOCKER=1`, the engine of `DOCKER_HOST` or of the usual socket.
    pub docker: Option<Docker>,
    /// Has the buckets: with `STANDIN_S3_ENDPOINT`, `STANDIN_S3_ACCESS_KEY`, `STANDIN_S3_SECRET_KEY` and `STANDIN_S3_REGION`.
    pub s3: Option<aws_sdk_s3::Client>,
    /// Has zones and records: with `STANDIN_ROUTE53_ENDPOINT`, which lets in everybody.
    pub route53: Option<aws_sdk_route53::Client>,
    /// Takes images: with `STANDIN_REGISTRY`, as `127.0.0.1:5000`.
    pub registry: Option<String>,
    /// The addresses of containers.
    pub gateways: Gateways,
    /// Tells what belongs to this folder of state from what belongs to another, where both meet in one engine.
    pub mark: String,
}

impl Machine {
    /// What the environment names. Fails where that is half of it, or a Docker engine that does not answer.
    pub async fn of_environment(state: &Path) -> Result<Self> {
        fs_err::create_dir_all(state)?;
        let whole = fs_err::canonicalize(state)?;
        let mark = hex::encode(Sha256::digest(whole.as_os_str().as_encoded_bytes()))[..12].to_owned();
        let docker = if set("STANDIN_DOCKER").is_some_and(|value| value != "0") { Some(docker().await?) } else { None };
        let s3 = set("STANDIN_S3_ENDPOINT").map(|endpoint| s3(&endpoint)).transpose()?;
        let route53 = set("STANDIN_ROUTE53_ENDPOINT").map(|endpoint| route53(&endpoint));
        let (registry, gateways) = (set("STANDIN_REGISTRY"), Gateways::default());
        Ok(Self { docker, s3, route53, registry, gateways, mark })
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn docker() -> Result<Docker> {
    let said = "STANDIN_DOCKER is set, and no Docker engine answers where DOCKER_HOST says or at its usual socket: \
                start one (sudo systemctl start docker), or unset STANDIN_DOCKER";
    Docker::connect_with_defaults().context(said)?.negotiate_version().await.context(said)
}

fn s3(endpoint: &str) -> Result<aws_sdk_s3::Client> {
    let needed = |name: &str| set(name).with_context(|| format!("STANDIN_S3_ENDPOINT is set, so {name} must be, too"));
    let (access, secret) = (needed("STANDIN_S3_ACCESS_KEY")?, needed("STANDIN_S3_SECRET_KEY")?);
    let region = set("STANDIN_S3_REGION").unwrap_or_else(|| "us-east-1".to_owned());
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(access, secret, None, None, "environment"))
        .http_client(Builder::new().build_http())
        // Servers of other makes know fewer checksums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Ok(aws_sdk_s3::Client::from_conf(config.build()))
}

fn route53(endpoint: &str) -> aws_sdk_route53::Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("standin", "standin", None, None, "everybody"))
        .http_client(Builder::new().build_http());
    aws_sdk_route53::Client::from_conf(config.build())
}
