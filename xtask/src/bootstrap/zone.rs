//! The hosted zone in Route 53 that holds an environment's domain, and whether the zone above it delegates to it.

mod delegation;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::{join, try_join_all};
use secrecy::SecretString;

use super::item::Item;
use super::{Prerequisite, variable};
use crate::check::Check;
use crate::clients::dns::{self, Delegation, Dns};
use crate::clients::route53::{Route53, Route53Error, Zone};
use crate::env::{Env, lacks};
use crate::failure::Failure;
use crate::tools::platform;

/// Credentials for DNS alone, under the names of the stacks' variables. The usual names are those of the state bucket's key.
const KEY_ID: &str = "TF_VAR_dns_access_key_id";
const SECRET_KEY: &str = "TF_VAR_dns_secret_access_key";
/// Another address of Route 53, under the name that the AWS SDKs read.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_ROUTE_53";
/// The zone of a domain.
pub struct DomainZone<'a> {
    env: &'a Env<'a>,
    domain: &'a str,
    /// The name of the zone to create where there is none.
    wanted: &'a str,
    /// Whether the user named it.
    named: bool,
    route53: Route53,
    dns: Result<Dns>,
}

/// Create a zone of this name.
pub struct Create(String);

/// Doctor's check: whether Route 53 accepts the credentials. None for an environment without a domain.
pub async fn check(env: &Env<'_>) -> Option<Check> {
    env.environment.domain()?;
    let asked = async {
        let route53 = connect(env).map_err(Failure::into_error)?;
        route53.check().await?;
        anyhow::Ok(format!("{} accepts the credentials", route53.host()))
    };
    Some(Check::of("dns", asked.await, |found| found, &format!("check {KEY_ID} and {SECRET_KEY}")))
}

impl<'a> DomainZone<'a> {
    /// The zone of the environment's domain. `name` is the name of a zone that is created; by default the domain without its
    /// first label. No request is made yet.
    pub fn find(env: &'a Env<'a>, name: Option<&'a str>) -> Result<Self, Failure> {
        let Some(domain) = env.environment.domain() else {
            let lacks = lacks(env.config, env.name(), "domain", |other| other.domain().is_some());
            return Err(Failure::Usage(anyhow!(
                "{lacks}\n  add it to one with `target: scaleway`: domain: media.example.org"
            )));
        };
        let above: Vec<&str> = names(domain).skip(1).collect();
        if let Some(name) = name.filter(|name| !above.contains(name)) {
            let above = above.join(", ");
            return Err(Failure::Usage(anyhow!("{domain} cannot be in the zone {name:?}; it can be in: {above}")));
        }
        let server = platform::variable(dns::SERVER);
        let wanted = name.or(above.first().copied()).context("the domain needs three labels to be in a zone")?;
        let (route53, dns) = (connect(env)?, Dns::new(server.as_deref()));
        Ok(Self { env, domain, wanted, named: name.is_some(), route53, dns })
    }

    /// The items when there is no public zone.
    fn without(&self, private: &[Zone]) -> Vec<Item<Create>> {
        let private: Vec<String> = private.iter().map(|zone| format!("{} {}", zone.name, zone.id)).collect();
        let is = if private.is_empty() {
            "not found".to_owned()
        } else {
            format!("not found (the internet does not see private zones: {})", private.join(", "))
        };
        let (about, create) = (format!("zone {}", self.wanted), Create(self.wanted.to_owned()));
        vec![
            Item::differs(about, is, "a public zone", "create it (billed by the month)", create),
            Item::waits("dns_zone_id", "not known yet", "the zone's id"),
            Item::waits("name servers", "not known yet", "four of Route 53's"),
            Item::waits("delegation", "not known yet", "to these name servers"),
        ]
    }

    async fn delegation(&self, zone: &str) -> Result<Delegation> {
        match &self.dns {
            Ok(dns) => dns.delegation(zone).await,
            Err(error) => Err(anyhow!("{error:#}")),
        }
    }
}

impl Prerequisite for DomainZone<'_> {
    type Fix = Create;

    fn title(&self) -> String {
        format!("DNS zone of {} ({})", self.domain, self.env.name())
    }

    fn command(&self) -> String {
        let name = if self.named { format!(" --name {}", self.wanted) } else { String::new() };
        format!("cargo xtask bootstrap zone {}{name}", self.env.name())
    }

    async fn inspect(&self) -> Result<Vec<Item<Create>>, Failure> {
        // One query for each name, concurrently. The list of all zones would take a query for every hundred zones, one after
        // another, and Route 53 allows five requests a second.
        let found = try_join_all(names(self.domain).map(|name| self.route53.zones_of(name)));
        let found = found.await.map_err(|error| explain(error, "route53:ListHostedZonesByName"))?;
        let (private, public): (Vec<Zone>, Vec<Zone>) = found.into_iter().flatten().partition(|zone| zone.private);
        // The longest name comes first.
        let Some(found) = public.first() else { return Ok(self.without(&private)) };
        let about = format!("zone {}", found.name);
        let same: Vec<&str> =
            public.iter().filter(|zone| zone.name == found.name).map(|zone| zone.id.as_str()).collect();
        if same.len() > 1 {
            let is = format!("{} public zones have this name: {}", same.len(), same.join(", "));
            let next =
                "delete the zones that the parent does not delegate to, by their ids: their records are never resolved";
            return Ok(vec![Item::refused(about, is, "one zone", next)]);
        }
        if found.name == self.domain {
            let is = format!("{} is a zone of the domain itself", found.id);
            let next = "use a domain below it, or delete that zone: the apex of a zone cannot have a CNAME record";
            return Ok(vec![Item::refused(about, is, "a zone above the domain", next)]);
        }
        if self.named && found.name != self.wanted {
            let is = format!("{} is in this zone already", self.domain);
            let next =
                format!("omit --name, or create {} by hand: the records of {} may be in use", self.wanted, found.name);
            return Ok(vec![Item::refused(about, is, self.wanted, next)]);
        }
        let servers = self.route53.name_servers(found);
        let (servers, delegation) = join(servers, self.delegation(&found.name)).await;
        let servers = servers.map_err(|error| explain(error, "route53:GetHostedZone"))?;
        Ok(vec![
            Item::good(about, found.id.clone()),
            // The stack creates the record of this domain.
            variable::item(self.env, "domain", self.domain)?,
            variable::item(self.env, "dns_zone_id", &found.id)?,
            Item::good("name servers", servers.join("\n")),
            delegation::item(&found.name, &servers, delegation),
        ])
    }

    async fn fix(&self, Create(name): &Create) -> Result<(), Failure> {
        // Route 53 creates one zone for a reference. It is the same for a day, so a second run creates no second zone.
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let project = &self.env.config.project;
        let reference = format!("xtask {project} {name} {day}");
        match self.route53.create(name, &reference, &format!("{project}: cargo xtask bootstrap zone")).await {
            Ok(_) | Err(Route53Error::MadeBefore { .. }) => Ok(()),
            Err(error) => Err(explain(error, "route53:CreateHostedZone")),
        }
    }
}

fn connect(env: &Env<'_>) -> Result<Route53, Failure> {
    let secret = |name: &str| -> Result<SecretString> {
        env.secret(name)?.with_context(|| {
            let file = format!(".env.{}", env.name());
            format!("{name} has no value; DNS has credentials of its own\n  put it into {file} (mode 0600) or into the environment")
        })
    };
    let endpoint = platform::variable(ENDPOINT);
    Ok(Route53::new(endpoint.as_deref(), &secret(KEY_ID)?, &secret(SECRET_KEY)?).context("connect to Route 53")?)
}

/// The domain and the names above it that can be zones: those with two labels or more.
fn names(domain: &str) -> impl Iterator<Item = &str> {
    let above = std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, above)| above));
    above.filter(|name| name.contains('.'))
}

/// The failure with the next step. `permission` is what the call needs.
fn explain(error: Route53Error, permission: &str) -> Failure {
    let next = match &error {
        Route53Error::Refused { .. } => {
            format!("check {KEY_ID} and {SECRET_KEY}; their user needs the permission {permission}")
        }
        Route53Error::Unreachable { .. } => "check the network and the proxy, then type the command again".to_owned(),
        Route53Error::MadeBefore { .. } | Route53Error::Other { .. } => return Failure::Failed(error.into()),
    };
    Failure::Failed(anyhow!("{error}\n  {next}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn zone_names_are_whole_labels_two_at_least() {
        let names: Vec<&str> = super::names("media.shop.example.org").collect();
        assert_eq!(names, ["media.shop.example.org", "shop.example.org", "example.org"]);
    }
}
