//! The settings of the bucket, an item each.

use std::collections::BTreeMap;

use super::answers::Answers;
use super::locking::WITHOUT_VERSIONS;
use super::{Fix, StateBucket, lifecycle, policy};
use crate::bootstrap::item::Item;
use crate::clients::s3::error::{Kind, Result, S3Error};
use crate::clients::s3::{Acl, PublicAccessBlockConfiguration};
use crate::config::Provider;
use crate::failure::Failure;

/// The replacement for versioning.
const KEEP_COPIES: &str = "no replacement: keep copies of the state elsewhere";

/// The groups of Amazon that contain everyone ("Access control list (ACL) overview", S3 user guide).
const EVERYONE: [&str; 2] =
    ["http://acs.amazonaws.com/groups/global/AllUsers", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"];

impl StateBucket<'_> {
    /// An item for each setting.
    pub(super) fn settings(&self, answers: Answers) -> std::result::Result<Vec<Item<Fix>>, Failure> {
        let encrypted_before = match self.state.encrypted {
            true => "state and plans are encrypted before they are written",
            false => "no replacement: write `encryption: required` into `state` in deploy.yaml",
        };
        let versioning = answers.versioning.as_ref().ok().copied();
        let cannot = answers.keys.iter().flatten().any(|key| key == WITHOUT_VERSIONS);
        Ok(vec![
            self.item("old versions", "kept", answers.versioning, KEEP_COPIES, |on, should| match on {
                true => Item::good("old versions", should),
                false if cannot => Item::lacks(
                    "old versions",
                    "not kept: a test showed that this service does not release locks with versioning on",
                    should,
                    KEEP_COPIES,
                ),
                false => Item::differs("old versions", "not kept", should, "turn versioning on", Fix::Versioning),
            })?,
            self.public(answers.public_access, answers.acl)?,
            self.item("encryption", "on", answers.encryption, encrypted_before, |by, should| match by {
                Some(by) => Item::good("encryption", format!("{should}, by {by}")),
                None => {
                    let how = "turn it on, with the service's keys";
                    Item::differs("encryption", "off", should, how, Fix::Encryption)
                }
            })?,
            self.tls(answers.policy)?,
            self.item(
                "lifecycle",
                &lifecycle::text(versioning.is_some()),
                answers.lifecycle,
                "no replacement: both stay",
                |is, should| {
                    let wanted = lifecycle::merged(&is, versioning.is_some(), self.state.provider == Provider::Aws);
                    match wanted {
                        None => Item::good("lifecycle", should),
                        Some(wanted) => Item::differs(
                            "lifecycle",
                            "the rules are missing or differ",
                            should,
                            "set the rules, beside the other rules",
                            Fix::Lifecycle(wanted),
                        ),
                    }
                },
            )?,
            self.tags(answers.tags)?,
        ])
    }

    /// The item of one setting, whatever the answer was. `instead` says what replaces a setting that is not supported.
    fn item<T>(
        &self,
        about: &str,
        should: &str,
        answer: Result<T>,
        instead: &str,
        item: impl FnOnce(T, &str) -> Item<Fix>,
    ) -> std::result::Result<Item<Fix>, Failure> {
        match answer {
            Ok(value) => Ok(item(value, should)),
            Err(error) if self.is_unsupported(&error) => {
                Ok(Item::lacks(about, self.unsupported(error), should, instead))
            }
            Err(error) if error.kind == Kind::Denied => Ok(Item::by_hand(
                about,
                format!("could not be read ({error})"),
                should,
                "use a key with every permission on the bucket",
            )),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Amazon supports every setting, so there this answer is an error.
    fn is_unsupported(&self, error: &S3Error) -> bool {
        error.kind == Kind::Unsupported && self.state.provider != Provider::Aws
    }

    fn unsupported(&self, error: S3Error) -> String {
        if self.state.provider == Provider::Other {
            format!("not supported by this service: {}", error.said)
        } else {
            error.said
        }
    }

    /// That the bucket is not public: by a public access block, or by an access control list without public grants.
    fn public(
        &self,
        block: Result<Option<PublicAccessBlockConfiguration>>,
        acl: Result<Acl>,
    ) -> std::result::Result<Item<Fix>, Failure> {
        let (about, should) = ("public access", "blocked");
        let unsupported = match block {
            Err(error) if self.is_unsupported(&error) => self.unsupported(error),
            block => {
                return self.item(about, should, block, "", |block, should| match block {
                    Some(block) if block == blocked() => Item::good(about, should),
                    _ => Item::differs(about, "not blocked", should, "block it", Fix::PublicAccess),
                });
            }
        };
        let instead = "no replacement: check it by hand";
        self.item(about, "none", acl, instead, |acl, should| {
            let (public, others): (Vec<_>, Vec<_>) = acl.grants.into_iter().partition(|grant| {
                let uri = grant.grantee.as_ref().and_then(|grantee| grantee.uri());
                uri.is_some_and(|uri| EVERYONE.contains(&uri))
            });
            if public.is_empty() {
                return Item::lacks(about, unsupported, should, "no grant makes the bucket public: that was checked");
            }
            let fix = Fix::Grants(Acl { owner: acl.owner, grants: others });
            Item::differs(about, "a grant makes the bucket public", should, "remove that grant", fix)
        })
    }

    /// That a policy refuses requests without TLS. At an endpoint without TLS it would refuse every request.
    fn tls(&self, policy: Result<Option<serde_json::Value>>) -> std::result::Result<Item<Fix>, Failure> {
        let (about, should) = ("requests", "refused without TLS");
        if let Some(endpoint) = self.state.endpoint.as_ref().filter(|endpoint| endpoint.starts_with("http://")) {
            let is = format!("{endpoint} has no TLS, and a policy that requires TLS would refuse every request");
            return Ok(Item::lacks(about, is, should, "no replacement: give the service a certificate"));
        }
        self.item(about, should, policy, "the toolkit and OpenTofu use https", |before, should| {
            match policy::merged(before.as_ref(), &self.state.bucket, &self.state.region) {
                None => Item::good(about, should),
                Some(after) => {
                    let fix = Fix::Policy { before, after };
                    Item::differs(about, "accepted without TLS", should, "add a statement to the policy", fix)
                }
            }
        })
    }

    /// That tags name the project, and the environments whose states are in the bucket.
    fn tags(&self, tags: Result<BTreeMap<String, String>>) -> std::result::Result<Item<Fix>, Failure> {
        let names: Vec<&str> = self.environments().map(|environment| environment.name.as_str()).collect();
        let wanted = [
            ("environment", names.join(" ")),
            ("managed-by", "xtask".to_owned()),
            ("project", self.env.config.project.clone()),
        ];
        let should: Vec<String> = wanted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let instead = "the bucket's name has to say what it is for";
        self.item("tags", &should.join(", "), tags, instead, |mut tags, should| {
            let differ: Vec<String> = wanted
                .iter()
                .filter(|(name, value)| tags.get(*name) != Some(value))
                .map(|(name, _)| tags.get(*name).map_or_else(|| format!("no {name}"), |is| format!("{name}={is}")))
                .collect();
            if differ.is_empty() {
                return Item::good("tags", should);
            }
            tags.extend(wanted.clone().map(|(name, value)| (name.to_owned(), value)));
            Item::differs("tags", differ.join(", "), should, "set them, beside the other tags", Fix::Tags(tags))
        })
    }
}

/// The block of every kind of public access.
pub(super) fn blocked() -> PublicAccessBlockConfiguration {
    let block = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
    block.block_public_policy(true).restrict_public_buckets(true).build()
}
