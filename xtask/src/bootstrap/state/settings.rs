//! What is set on the bucket, one setting after another.

use std::collections::BTreeMap;

use super::found::Found;
use super::locking::WITHOUT_VERSIONS;
use super::{Mend, StateBucket, lifecycle, policy};
use crate::bootstrap::item::Item;
use crate::clients::s3::error::{Kind, Result, S3Error};
use crate::clients::s3::{Acl, PublicAccessBlockConfiguration};
use crate::config::Provider;
use crate::failure::Failure;

/// What stands in for nothing.
const KEEP_COPIES: &str = "nothing does: keep copies of the state somewhere else";

/// Whom grants let in that let in everybody ("Access control list (ACL) overview", S3 user guide).
const EVERYBODY: [&str; 2] =
    ["http://acs.amazonaws.com/groups/global/AllUsers", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"];

impl StateBucket<'_> {
    /// An item for each setting.
    pub(super) fn settings(&self, found: Found) -> std::result::Result<Vec<Item<Mend>>, Failure> {
        let before_written = match self.infra.stack.state.encrypted {
            true => "state and plans are encrypted before they are written",
            false => "nothing does: write `encryption: required` into `state` in deploy.yaml",
        };
        let versioning = found.versioning.as_ref().ok().copied();
        let cannot = found.keys.iter().flatten().any(|key| key == WITHOUT_VERSIONS);
        Ok(vec![
            self.item("old versions", "kept", found.versioning, KEEP_COPIES, |on, should| match on {
                true => Item::good("old versions", should),
                false if cannot => Item::lacks(
                    "old versions",
                    "not kept, as this service does not free a lock where it keeps them: that was tried",
                    should,
                    KEEP_COPIES,
                ),
                false => Item::differs("old versions", "not kept", should, "keep old versions", Mend::Versioning),
            })?,
            self.public(found.public_access, found.acl)?,
            self.item("encryption", "on", found.encryption, before_written, |by, should| match by {
                Some(by) => Item::good("encryption", format!("{should}, by {by}")),
                None => {
                    Item::differs("encryption", "off", should, "turn it on, by keys of the service", Mend::Encryption)
                }
            })?,
            self.tls(found.policy)?,
            self.item(
                "lifecycle",
                &lifecycle::text(versioning.is_some()),
                found.lifecycle,
                "nothing does: both stay",
                |is, should| {
                    let wanted = lifecycle::merged(&is, versioning.is_some(), self.provider() == Provider::Aws);
                    match wanted {
                        None => Item::good("lifecycle", should),
                        Some(wanted) => Item::differs(
                            "lifecycle",
                            "not so",
                            should,
                            "set it, beside what else is set",
                            Mend::Lifecycle(wanted),
                        ),
                    }
                },
            )?,
            self.tags(found.tags)?,
        ])
    }

    /// One setting, whatever came of asking for it. `instead` is what stands in for it where the provider lacks it.
    fn item<T>(
        &self,
        about: &str,
        should: &str,
        read: Result<T>,
        instead: &str,
        item: impl FnOnce(T, &str) -> Item<Mend>,
    ) -> std::result::Result<Item<Mend>, Failure> {
        match read {
            Ok(value) => Ok(item(value, should)),
            Err(error) if self.is_lack(&error) => Ok(Item::lacks(about, self.lack(error), should, instead)),
            Err(error) if error.kind == Kind::Denied => Ok(Item::by_hand(
                about,
                format!("not told ({error})"),
                should,
                "use a key that may do everything with the bucket",
            )),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Amazon has all of it: there an answer that it has not is an error.
    fn is_lack(&self, error: &S3Error) -> bool {
        error.kind == Kind::Unsupported && self.provider() != Provider::Aws
    }

    /// How that is said. Of servers of one's own nothing is known before they are asked.
    fn lack(&self, error: S3Error) -> String {
        if self.provider() == Provider::Other { format!("not known here: {}", error.said) } else { error.said }
    }

    /// That nothing opens it to everybody; where there is no block against all of it, that no grant does.
    fn public(
        &self,
        block: Result<Option<PublicAccessBlockConfiguration>>,
        acl: Result<Acl>,
    ) -> std::result::Result<Item<Mend>, Failure> {
        let (about, should) = ("public access", "blocked");
        let lack = match block {
            Err(error) if self.is_lack(&error) => self.lack(error),
            block => {
                return self.item(about, should, block, "", |block, should| match block {
                    Some(block) if block == closed() => Item::good(about, should),
                    _ => Item::differs(about, "not blocked", should, "block all of it", Mend::PublicAccess),
                });
            }
        };
        let instead = "nothing does: look at it by hand";
        self.item(about, "none", acl, instead, |acl, should| {
            let (public, others): (Vec<_>, Vec<_>) = acl.grants.into_iter().partition(|grant| {
                let uri = grant.grantee.as_ref().and_then(|grantee| grantee.uri());
                uri.is_some_and(|uri| EVERYBODY.contains(&uri))
            });
            if public.is_empty() {
                return Item::lacks(about, lack, should, "no grant lets everybody in: that was looked at");
            }
            let mend = Mend::Grants(Acl { owner: acl.owner, grants: others });
            Item::differs(about, "a grant lets everybody in", should, "take that grant away", mend)
        })
    }

    /// That what comes without TLS is refused: by a policy, which would shut out whoever has no TLS to the service.
    fn tls(&self, policy: Result<Option<serde_json::Value>>) -> std::result::Result<Item<Mend>, Failure> {
        let state = &self.infra.stack.state;
        let (about, should) = ("requests", "refused without TLS");
        if let Some(endpoint) = state.endpoint.as_ref().filter(|endpoint| endpoint.starts_with("http://")) {
            let is = format!("{endpoint} has no TLS, and with a policy that wants it nobody would get in");
            return Ok(Item::lacks(about, is, should, "nothing does: give the service a certificate"));
        }
        self.item(
            about,
            should,
            policy,
            "toolkit and OpenTofu speak https to it",
            |before, should| match policy::merged(before.as_ref(), &state.bucket, &state.region) {
                None => Item::good(about, should),
                Some(after) => {
                    let mend = Mend::Policy { before, after };
                    Item::differs(about, "taken without TLS", should, "add that to the policy", mend)
                }
            },
        )
    }

    /// That it says whose it is. Environments that share it are named together.
    fn tags(&self, tags: Result<BTreeMap<String, String>>) -> std::result::Result<Item<Mend>, Failure> {
        let names: Vec<&str> = self.environments().map(|environment| environment.name.as_str()).collect();
        let ours = [
            ("environment", names.join(" ")),
            ("managed-by", "xtask".to_owned()),
            ("project", self.infra.config.project.clone()),
        ];
        let should: Vec<String> = ours.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.item("tags", &should.join(", "), tags, "nothing does: its name says whose it is", |mut tags, should| {
            let other: Vec<String> = ours
                .iter()
                .filter(|(name, value)| tags.get(*name) != Some(value))
                .map(|(name, _)| tags.get(*name).map_or_else(|| format!("no {name}"), |is| format!("{name}={is}")))
                .collect();
            if other.is_empty() {
                return Item::good("tags", should);
            }
            tags.extend(ours.clone().map(|(name, value)| (name.to_owned(), value)));
            Item::differs("tags", other.join(", "), should, "set these, beside the others", Mend::Tags(tags))
        })
    }
}

/// Nothing can open it to everybody.
pub(super) fn closed() -> PublicAccessBlockConfiguration {
    let block = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
    block.block_public_policy(true).restrict_public_buckets(true).build()
}
