//! The hosted zone that answers for an environment's domain, and whether its parent sends there.

mod delegation;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::{join, try_join_all};
use secrecy::SecretString;

use super::item::Item;
use super::{Foundation, How, bootstrap, variable};
use crate::check::Check;
use crate::clients::dns::Dns;
use crate::clients::route53::{Route53, Route53Error, Zone};
use crate::env::{Env, lacks};
use crate::failure::Failure;
use crate::tools::platform;

/// Credentials for DNS alone, by the names that the stacks take them by: the state bucket's have the common ones.
const KEY_ID: &str = "TF_VAR_dns_access_key_id";
const SECRET_KEY: &str = "TF_VAR_dns_secret_access_key";
/// Another address of Route 53, by the name that Amazon's own programs take it by.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_ROUTE_53";
/// The only DNS server to ask, where others cannot be asked.
const DNS_SERVER: &str = "DNS_SERVER";

/// Looks for the zone and mends what can be mended. `name` is what a zone that is made is called; the domain without its first
/// label if nothing is said.
pub async fn zone(env: &Env<'_>, name: Option<&str>, how: How) -> Result<(), Failure> {
    let Some(domain) = env.environment.domain() else {
        let lacks = lacks(env.config, env.name(), "domain", |other| other.domain().is_some());
        return Err(Failure::Usage(anyhow!(
            "{lacks}\n  one with `target: scaleway` takes it as: domain: media.example.org"
        )));
    };
    let above: Vec<&str> = names(domain).skip(1).collect();
    if let Some(name) = name.filter(|name| !above.contains(name)) {
        let text = format!("{name:?} is no zone that {domain} could be in; it could be in: {}", above.join(", "));
        return Err(Failure::Usage(anyhow!(text)));
    }
    let route53 = reach(env)?;
    let server = platform::variable(DNS_SERVER);
    let wanted = name.or(above.first().copied()).context("a domain has three labels, so it is in a zone")?;
    let zone = DomainZone { env, domain, wanted, named: name.is_some(), route53, dns: Dns::new(server.as_deref()) };
    Box::pin(bootstrap(&zone, how, env)).await
}

/// Whether Route 53 lets us in, for an environment with a domain.
pub async fn check(env: &Env<'_>) -> Option<Check> {
    env.environment.domain()?;
    let asked = async {
        let route53 = reach(env).map_err(Failure::into_error)?;
        route53.check().await?;
        anyhow::Ok(format!("{} lets us in", route53.host()))
    };
    Some(Check::of("dns", asked.await, |found| found, &format!("look at {KEY_ID} and {SECRET_KEY}")))
}

/// The zone of a domain.
struct DomainZone<'a> {
    env: &'a Env<'a>,
    domain: &'a str,
    /// The name of the zone that is made where there is none.
    wanted: &'a str,
    /// Whether somebody has said so.
    named: bool,
    route53: Route53,
    dns: Result<Dns>,
}

/// Make a zone of this name.
struct Make(String);

impl Foundation for DomainZone<'_> {
    type Mend = Make;

    fn title(&self) -> String {
        format!("the zone of {} ({})", self.domain, self.env.name())
    }

    fn command(&self) -> String {
        let name = if self.named { format!(" --name {}", self.wanted) } else { String::new() };
        format!("cargo xtask bootstrap zone {}{name}", self.env.name())
    }

    async fn look(&self) -> Result<Vec<Item<Make>>, Failure> {
        // A name at a time rather than the whole list: an account may have hundreds of zones, the list comes in pages one after
        // another, and Route 53 bears five requests a second. These are two or three, side by side.
        let named = try_join_all(names(self.domain).map(|name| self.route53.zones_of(name)));
        let named = named.await.map_err(|error| failed(error, "route53:ListHostedZonesByName"))?;
        let (private, public): (Vec<Zone>, Vec<Zone>) = named.into_iter().flatten().partition(|zone| zone.private);
        // The longest name comes first.
        let Some(found) = public.first() else { return Ok(self.without(&private)) };
        let about = format!("zone {}", found.name);
        let twins: Vec<&str> =
            public.iter().filter(|zone| zone.name == found.name).map(|zone| zone.id.as_str()).collect();
        if twins.len() > 1 {
            let is = format!("there {} times, public each: {}", twins.len(), twins.join(", "));
            let next =
                "delete the one that nothing points to, by its id: a record in the wrong one is answered to nobody";
            return Ok(vec![Item::refused(about, is, "there once", next)]);
        }
        if found.name == self.domain {
            let is = format!("{}, the domain itself", found.id);
            let next = "take a domain below it, or delete that zone: at a zone's own name there can be no CNAME";
            return Ok(vec![Item::refused(about, is, "a zone above the domain", next)]);
        }
        if self.named && found.name != self.wanted {
            let next = format!(
                "leave --name away, or make {} by hand: what is in {} now may be asked for",
                self.wanted, found.name
            );
            let is = format!("the zone that {} is in", self.domain);
            return Ok(vec![Item::refused(about, is, self.wanted, next)]);
        }
        let servers = self.route53.name_servers(found);
        let (servers, delegation) = join(servers, self.delegation(&found.name)).await;
        let servers = servers.map_err(|error| failed(error, "route53:GetHostedZone"))?;
        Ok(vec![
            Item::good(about, found.id.clone()),
            // The stack makes the record, so it has to mean the same.
            variable::item(self.env, "domain", self.domain)?,
            variable::item(self.env, "dns_zone_id", &found.id)?,
            Item::good("name servers", servers.join("\n")),
            delegation::item(&found.name, &servers, delegation),
        ])
    }

    async fn mend(&self, Make(name): &Make) -> Result<(), Failure> {
        // The same all day: whoever asks again, or beside this one, does not make a second zone of the name.
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let project = &self.env.config.project;
        let reference = format!("xtask {project} {name} {day}");
        match self.route53.create(name, &reference, &format!("{project}: cargo xtask bootstrap zone")).await {
            // It is looked for again anyway.
            Ok(_) | Err(Route53Error::MadeBefore { .. }) => Ok(()),
            Err(error) => Err(failed(error, "route53:CreateHostedZone")),
        }
    }
}

impl DomainZone<'_> {
    /// What there is to do without a public zone.
    fn without(&self, private: &[Zone]) -> Vec<Item<Make>> {
        let private: Vec<String> = private.iter().map(|zone| format!("{} {}", zone.name, zone.id)).collect();
        let is = if private.is_empty() {
            "not there".to_owned()
        } else {
            format!("not there (left out, as nobody outside is answered from a private one: {})", private.join(", "))
        };
        let make = Make(self.wanted.to_owned());
        vec![
            Item::differs(format!("zone {}", self.wanted), is, "a public zone", "make it (billed by the month)", make),
            Item::waits("dns_zone_id", "not known yet", "the zone's id"),
            Item::waits("name servers", "not known yet", "four of Route 53's"),
            Item::waits("delegation", "not to be compared yet", "to these name servers"),
        ]
    }

    async fn delegation(&self, zone: &str) -> Result<crate::clients::dns::Delegation> {
        match &self.dns {
            Ok(dns) => dns.delegation(zone).await,
            Err(error) => Err(anyhow!("{error:#}")),
        }
    }
}

/// Route 53, as who has the environment's credentials for DNS.
fn reach(env: &Env<'_>) -> Result<Route53, Failure> {
    let secret = |name: &str| -> Result<SecretString> {
        env.secret(name)?.with_context(|| {
            let file = format!(".env.{}", env.name());
            format!("{name} has no value: DNS is changed with credentials of its own\n  put it into {file} (mode 0600) or into the environment")
        })
    };
    let endpoint = platform::variable(ENDPOINT);
    Ok(Route53::new(endpoint.as_deref(), &secret(KEY_ID)?, &secret(SECRET_KEY)?).context("reach Route 53")?)
}

/// The domain, and the names above it that a zone can have.
fn names(domain: &str) -> impl Iterator<Item = &str> {
    let above = std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, above)| above));
    above.filter(|name| name.contains('.'))
}

/// The failure with what to do about it.
fn failed(error: Route53Error, right: &str) -> Failure {
    let next = match &error {
        Route53Error::Refused { .. } => {
            format!("look at {KEY_ID} and {SECRET_KEY}; whoever they are of needs the right {right}")
        }
        Route53Error::Unreachable { .. } => "check the network and the proxy, then type the command again".to_owned(),
        Route53Error::MadeBefore { .. } | Route53Error::Other { .. } => return Failure::Failed(error.into()),
    };
    Failure::Failed(anyhow!("{error}\n  {next}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_zone_is_named_by_whole_labels_and_two_at_least() {
        let names: Vec<&str> = super::names("media.shop.example.org").collect();
        assert_eq!(names, ["media.shop.example.org", "shop.example.org", "example.org"]);
    }
}
