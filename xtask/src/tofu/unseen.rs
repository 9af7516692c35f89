//! What OpenTofu does not see, because a provider does not read it: asked of the platform's API after a plan and after an apply.
//!
//! A custom domain at Scaleway that ends in `error` passes the apply and every later plan. An r2.dev subdomain that was enabled by
//! hand is no drift for OpenTofu, and makes the whole bucket public.

use std::fmt;

use anyhow::{Context as _, Result, anyhow};
use secrecy::SecretString;
use serde::Serialize;

use super::Workspace;
use crate::clients::cloudflare::{self, R2};
use crate::clients::registry::http::printable;
use crate::clients::scaleway::{self, Containers};
use crate::env::Env;
use crate::failure::Failure;
use crate::tools::platform::variable;
use crate::tools::tofu::state::{State, UnreadResource};

/// The condition of a resource, by its platform's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// The resource.
    pub address: String,
    /// What the API said, or why it could not be asked; and what to do.
    pub found: String,
    /// What that means.
    pub verdict: Verdict,
}

/// What the condition of a resource means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As the stack has it.
    Good,
    /// It may not work yet, or could not be asked.
    Doubtful,
    /// It does not work, and will not before it is changed.
    Broken,
    /// It is open to everyone, and the stack closes it.
    Exposed,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.found)
    }
}

/// Asks for each resource of the state that its provider does not read. Never fails: what could not be asked is doubtful.
pub async fn ask(workspace: &Workspace<'_>, state: &State) -> Vec<Unseen> {
    let asked = state.unread_resources().into_iter().map(async |resource| {
        let (address, answer) = match resource {
            UnreadResource::ContainerDomain { address, id } => {
                let answer = container_domain(workspace, &id).await;
                (address, answer)
            }
            UnreadResource::ManagedDomain { address, account, bucket, jurisdiction, enabled } => {
                (address, managed_domain(workspace, &account, &bucket, &jurisdiction, enabled).await)
            }
        };
        let (verdict, found) = answer.unwrap_or_else(|error| {
            let found =
                format!("its condition could not be asked of the platform, and OpenTofu does not see it: {error:#}");
            (Verdict::Doubtful, found)
        });
        Unseen { address, found, verdict }
    });
    futures_util::future::join_all(asked).await
}

/// Fails if a resource is open to everyone that the stack closes.
pub fn refuse_exposed(unseen: &[Unseen]) -> Result<(), Failure> {
    let exposed: Vec<String> =
        unseen.iter().filter(|unseen| unseen.verdict == Verdict::Exposed).map(Unseen::to_string).collect();
    if exposed.is_empty() { Ok(()) } else { Err(anyhow!(exposed.join("\n")).into()) }
}

async fn container_domain(workspace: &Workspace<'_>, id: &str) -> Result<(Verdict, String)> {
    let (api, id) = containers(workspace.env, id)?;
    let name = workspace.name();
    let Some(domain) = api.patient(&workspace.env.patience).domain(id).await? else {
        let found = format!("Scaleway has no such domain\n  to create it again, type: cargo xtask tofu apply {name}");
        return Ok((Verdict::Doubtful, found));
    };
    let hostname = printable(&domain.hostname);
    Ok(match domain.status.as_str() {
        "ready" => {
            let found = format!(
                "the status of {hostname} is ready; that the service answers there, only a request proves: curl --fail https://{hostname}"
            );
            (Verdict::Good, found)
        }
        "error" => {
            let reason = domain.error_message.as_deref().filter(|text| !text.is_empty());
            let reason = printable(reason.unwrap_or("Scaleway gives no reason"));
            let found = format!(
                "the status of {hostname} is error, which neither an apply nor a plan shows: {reason}\n  \
                 check that its CNAME resolves; then delete the domain in Scaleway's console and type: cargo xtask tofu plan {name}"
            );
            (Verdict::Broken, found)
        }
        status => {
            let found = format!(
                "the status of {hostname} is {}, so it may not answer yet\n  to check again, type: cargo xtask tofu plan {name}",
                printable(status)
            );
            (Verdict::Doubtful, found)
        }
    })
}

async fn managed_domain(
    workspace: &Workspace<'_>,
    account: &str,
    bucket: &str,
    jurisdiction: &str,
    enabled: bool,
) -> Result<(Verdict, String)> {
    let token = credential(workspace.env, "CLOUDFLARE_API_TOKEN")?;
    let api = R2::new(&url("CLOUDFLARE_BASE_URL", cloudflare::API), account, &token)?;
    let actual = api.managed_domain(bucket, jurisdiction).await?;
    let domain = printable(&actual.domain);
    Ok(match (actual.enabled, enabled) {
        (true, false) => {
            let found = format!(
                "everyone can read the bucket {bucket} at https://{domain}: the subdomain is enabled, the stack disables it, and \
                 OpenTofu does not see the difference\n  disable it in Cloudflare's dashboard: R2, {bucket}, Settings, Public \
                 Development URL; then type: cargo xtask tofu plan {}",
                workspace.name()
            );
            (Verdict::Exposed, found)
        }
        (false, true) => {
            let found = format!("the stack enables {domain}, it is disabled, and OpenTofu does not see the difference");
            (Verdict::Doubtful, found)
        }
        (true, true) => (Verdict::Good, format!("{domain} is enabled")),
        (false, false) => (Verdict::Good, format!("{domain} is disabled")),
    })
}

/// A client of Scaleway's containers in the region of an id, and the rest of that id, which is `<region>/<UUID>`.
pub fn containers<'i>(env: &Env<'_>, id: &'i str) -> Result<(Containers, &'i str)> {
    let (api, key) = scaleway(env)?;
    let (region, id) = id.split_once('/').ok_or_else(|| anyhow!("the id has no region: {id}"))?;
    Ok((Containers::new(&api, region, &key)?, id))
}

/// The address of Scaleway's API, and the key for it.
pub fn scaleway(env: &Env<'_>) -> Result<(String, SecretString)> {
    let key = credential(env, "SCW_SECRET_KEY")?;
    Ok((url("SCW_API_URL", scaleway::API), key))
}

fn credential(env: &Env<'_>, name: &str) -> Result<SecretString> {
    let environment = env.name();
    let missing = || format!("{name} has no value; put it into .env.{environment} (mode 0600) or into the environment");
    env.secret(name)?.with_context(missing)
}

/// The address of an API: that of the variable, which the provider reads too, else the usual one.
fn url(name: &str, usual: &str) -> String {
    variable(name).unwrap_or_else(|| usual.to_owned())
}
