//! Route 53: hosted zones, public and private, and who answers for them (API version 2013-04-01).

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

/// Where it answers, everywhere but in China and in the government's regions.
const ENDPOINT: &str = "https://route53.amazonaws.com";
/// It has no regions; requests to it are signed for this one.
const REGION: &str = "us-east-1";
/// It lets an account ask five times a second, all of its programs together, so being put off is common.
const ATTEMPTS: u32 = 5;
/// The longest first wait; each one may be twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const CONNECT_TAKES: Duration = Duration::from_secs(5);
const ONE_REQUEST: Duration = Duration::from_secs(30);
/// What it gives at most of a list at a time.
const PAGE: i32 = 100;

type Result<T> = std::result::Result<T, Route53Error>;

/// Route 53, asked as one user.
pub struct Route53 {
    client: Client,
    host: String,
}

/// A hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its id, without `/hostedzone/`.
    pub id: String,
    /// Its name, without the dot at the end.
    pub name: String,
    /// Whether only networks of its owner see it.
    pub private: bool,
}

/// Why Route 53 did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Route53Error {
    /// It does not know who asks, or does not let them.
    #[error("{host} refuses {what}: {answer}")]
    Refused {
        /// Who was asked.
        host: String,
        /// What for.
        what: String,
        /// In its words.
        answer: String,
    },
    /// A zone was made by this very request before.
    #[error("{host} has made the zone {name} by the same request before")]
    MadeBefore {
        /// Who was asked.
        host: String,
        /// The zone's name.
        name: String,
    },
    /// No answer.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// Why.
        why: String,
    },
    /// All else: it says so itself.
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
    /// As whoever has this key; at another address than Amazon's if one is said: of this machine, or by TLS. Asks nothing yet.
    pub fn new(endpoint: Option<&str>, key_id: &SecretString, secret_key: &SecretString) -> Result<Self> {
        let endpoint = endpoint.unwrap_or(ENDPOINT);
        let other = |why: &str| Route53Error::Other {
            host: "Route 53".to_owned(),
            what: format!("using {}", printable(endpoint)),
            why: why.to_owned(),
        };
        let url = Url::parse(endpoint).map_err(|_| other("it is no address"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(other("requests that are signed by a key go over https only"));
        }
        let credentials = Credentials::new(key_id.expose_secret(), secret_key.expose_secret(), None, None, "xtask");
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TAKES).operation_attempt_timeout(ONE_REQUEST);
        let config = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials)
            .http_client(aws::http_client(is_loopback(&url)))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_WAIT))
            .timeout_config(timeouts.build());
        Ok(Self { client: Client::from_conf(config.build()), host: host(&url) })
    }

    /// Every zone of exactly this name; there can be many.
    pub async fn zones_of(&self, name: &str) -> Result<Vec<Zone>> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = self.client.list_hosted_zones_by_name().dns_name(name).set_hosted_zone_id(next);
            let page = page.max_items(PAGE).send().await;
            let page = page.map_err(|error| self.error(&error, &format!("listing zones named {name}")))?;
            let zones: Vec<Zone> = page.hosted_zones().iter().map(Zone::of).collect();
            let count = zones.len();
            // The list goes on from that name, so the zones of it come first.
            all.extend(zones.into_iter().take_while(|zone| zone.name == name));
            let more =
                page.is_truncated() && count > 0 && page.next_dns_name().is_some_and(|at| plain_name(at) == name);
            next = page.next_hosted_zone_id().filter(|_| more).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// The name servers that a public zone is on, without dots at their ends.
    pub async fn name_servers(&self, zone: &Zone) -> Result<Vec<String>> {
        let answer = self.client.get_hosted_zone().id(&zone.id).send().await;
        let answer = answer.map_err(|error| self.error(&error, &format!("looking at the zone {}", zone.id)))?;
        let servers = answer.delegation_set().map(|set| set.name_servers()).unwrap_or_default();
        Ok(servers.iter().map(|server| plain_name(server)).collect())
    }

    /// Makes a public zone. A `reference` is good for one zone: asked twice with the same, it makes one and fails with
    /// [`Route53Error::MadeBefore`].
    pub async fn create(&self, name: &str, reference: &str, comment: &str) -> Result<Zone> {
        let config = HostedZoneConfig::builder().comment(comment).private_zone(false).build();
        let request =
            self.client.create_hosted_zone().name(name).caller_reference(reference).hosted_zone_config(config);
        let what = format!("making the zone {name}");
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

    /// Whether it lets whoever has this key list zones: one request, which changes nothing.
    pub async fn check(&self) -> Result<()> {
        let answer = self.client.list_hosted_zones_by_name().max_items(1).send().await;
        answer.map(|_| ()).map_err(|error| self.error(&error, "listing zones"))
    }

    /// Who is asked, for people.
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

/// A name as people write it: in lower case, without the dot at its end.
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
