//! Route 53: public and private hosted zones and their name servers (API version 2013-04-01).

use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::timeout::TimeoutConfig;
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_route53::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_route53::types::{HostedZone, HostedZoneConfig};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use super::aws;
use super::registry::http::{host, is_loopback, printable};

/// The endpoint of all regions except China and GovCloud.
const ENDPOINT: &str = "https://route53.amazonaws.com";
/// Route 53 is global. Requests to it are signed for this region.
const REGION: &str = "us-east-1";
/// Route 53 allows five requests per second and account, so throttling is common.
const ATTEMPTS: u32 = 5;
/// The longest wait before the first retry. The limit doubles with each one.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const CONNECT_TAKES: Duration = Duration::from_secs(5);
const ONE_REQUEST: Duration = Duration::from_secs(30);
/// The most items that Route 53 returns in one page.
const PAGE: i32 = 100;
/// The most pages of zones of one name.
const MAX_PAGES: usize = 100;
/// The most bytes of an answer.
const LARGEST_ANSWER: usize = 4 << 20;

type Result<T> = std::result::Result<T, Route53Error>;

/// A client of Route 53 with the credentials of one user.
pub struct Route53 {
    client: Client,
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Without `/hostedzone/`.
    pub id: String,
    /// Without the final dot.
    pub name: String,
    /// Whether only the VPCs of its owner can resolve it.
    pub private: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Route53Error {
    /// Route 53 rejects the credentials, or they lack a permission.
    #[error("{host} refuses {what}: {answer}")]
    Refused {
        /// Who was asked.
        host: String,
        /// What for.
        what: String,
        /// In its words.
        answer: String,
    },
    /// An earlier request with the same reference created the zone.
    #[error("{host} has already created the zone {name} from the same request")]
    MadeBefore {
        /// Who was asked.
        host: String,
        /// The zone's name.
        name: String,
    },
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// Why.
        why: String,
    },
    #[error("{host}: {what} failed: {why}")]
    Other {
        /// Who was asked.
        host: String,
        /// What for.
        what: String,
        /// Why.
        why: String,
    },
}

impl Route53 {
    /// Uses this key, at Amazon's endpoint or at `endpoint`, which must be on this machine or use TLS. Sends no request.
    pub fn new(endpoint: Option<&str>, key_id: &SecretString, secret_key: &SecretString) -> Result<Self> {
        let endpoint = endpoint.unwrap_or(ENDPOINT);
        let other = |why: &str| Route53Error::Other {
            host: "Route 53".to_owned(),
            what: format!("using {}", printable(endpoint)),
            why: why.to_owned(),
        };
        let url = Url::parse(endpoint).map_err(|_| other("it is not a URL"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(other("signed requests are only sent over https"));
        }
        let credentials = Credentials::new(key_id.expose_secret(), secret_key.expose_secret(), None, None, "xtask");
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TAKES).operation_attempt_timeout(ONE_REQUEST);
        let config = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials)
            .http_client(aws::http_client(is_loopback(&url)))
            .interceptor(aws::BodyLimit(LARGEST_ANSWER))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_WAIT))
            .timeout_config(timeouts.build());
        Ok(Self { client: Client::from_conf(config.build()), host: host(&url) })
    }

    /// Every zone of exactly this name. Names are not unique.
    pub async fn zones_of(&self, name: &str) -> Result<Vec<Zone>> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let page = self.client.list_hosted_zones_by_name().dns_name(name).set_hosted_zone_id(next);
            let page = page.max_items(PAGE).send().await;
            let page = page.map_err(|error| self.error(&error, &format!("listing zones named {name}")))?;
            let zones: Vec<Zone> = page.hosted_zones().iter().map(Zone::of).collect();
            let count = zones.len();
            // The list begins at that name, so its zones come first.
            all.extend(zones.into_iter().take_while(|zone| zone.name == name));
            let more =
                page.is_truncated() && count > 0 && page.next_dns_name().is_some_and(|at| plain_name(at) == name);
            next = page.next_hosted_zone_id().filter(|_| more).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(self.other(&format!("listing zones named {name}"), format!("there are more than {MAX_PAGES} pages")))
    }

    /// The name servers of a public zone, without final dots.
    pub async fn name_servers(&self, zone: &Zone) -> Result<Vec<String>> {
        let answer = self.client.get_hosted_zone().id(&zone.id).send().await;
        let answer = answer.map_err(|error| self.error(&error, &format!("reading the zone {}", zone.id)))?;
        let servers = answer.delegation_set().map(|set| set.name_servers()).unwrap_or_default();
        Ok(servers.iter().map(|server| plain_name(server)).collect())
    }

    /// Creates a public zone. A second call with the same `reference` creates nothing and fails with
    /// [`Route53Error::MadeBefore`].
    pub async fn create(&self, name: &str, reference: &str, comment: &str) -> Result<Zone> {
        let config = HostedZoneConfig::builder().comment(comment).private_zone(false).build();
        let request =
            self.client.create_hosted_zone().name(name).caller_reference(reference).hosted_zone_config(config);
        let what = format!("creating the zone {name}");
        match request.send().await {
            Ok(made) => {
                let zone = made.hosted_zone().map(Zone::of);
                zone.ok_or_else(|| self.other(&what, "its answer has no zone".to_owned()))
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_hosted_zone_already_exists()) => {
                Err(Route53Error::MadeBefore { host: self.host.clone(), name: name.to_owned() })
            }
            Err(error) => Err(self.error(&error, &what)),
        }
    }

    /// Checks in one request that this key may list zones. Changes nothing.
    pub async fn check(&self) -> Result<()> {
        let answer = self.client.list_hosted_zones_by_name().max_items(1).send().await;
        answer.map(|_| ()).map_err(|error| self.error(&error, "listing zones"))
    }

    /// The host of the endpoint, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn error<E>(&self, error: &SdkError<E>, what: &str) -> Route53Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let host = self.host.clone();
        let words = |error: &dyn ProvideErrorMetadata| {
            let words = [error.code(), error.message()].into_iter().flatten().collect::<Vec<_>>().join(": ");
            printable(if words.is_empty() { "without a reason" } else { &words })
        };
        match error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                Route53Error::Unreachable { host, why: innermost(error) }
            }
            SdkError::ServiceError(said) => {
                let (status, answer) = (said.raw().status().as_u16(), words(said.err()));
                match status {
                    401 | 403 => Route53Error::Refused { host, what: what.to_owned(), answer },
                    _ => self.other(what, format!("it answered {status} ({answer})")),
                }
            }
            _ => self.other(what, printable(&DisplayErrorContext(error).to_string())),
        }
    }

    fn other(&self, what: &str, why: String) -> Route53Error {
        Route53Error::Other { host: self.host.clone(), what: what.to_owned(), why }
    }
}

impl Zone {
    fn of(zone: &HostedZone) -> Self {
        let id = zone.id().strip_prefix("/hostedzone/").unwrap_or(zone.id());
        let private = zone.config().is_some_and(HostedZoneConfig::private_zone);
        Self { id: printable(id), name: plain_name(zone.name()), private }
    }
}

/// A name in lower case, without the final dot.
fn plain_name(name: &str) -> String {
    printable(name.strip_suffix('.').unwrap_or(name)).to_lowercase()
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    printable(&innermost.to_string())
}

#[cfg(test)]
mod tests;
