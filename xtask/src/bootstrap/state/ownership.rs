//! Whether the bucket exists, belongs to this account, and holds states alone. Any other bucket is refused.

use super::answers::Answers;
use super::locking::OWN_FOLDER;
use super::{Fix, StateBucket};
use crate::bootstrap::item::Item;
use crate::clients::s3::error::Kind;
use crate::config::Provider;
use crate::failure::Failure;
use crate::image::list::printable;
use crate::state::is_own_key;

/// The items that wait for a bucket to be created, with what they will be.
const WAITING: [(&str, &str); 7] = [
    ("locking", "tested"),
    ("old versions", "kept"),
    ("public access", "blocked"),
    ("encryption", "on"),
    ("requests", "refused without TLS"),
    ("lifecycle", "set"),
    ("tags", "set"),
];

/// The next step for a bucket of another account.
const ANOTHER: &str = "use another `bucket` in `state` in deploy.yaml";
const ITS_OWNER: &str = "or a key of the bucket's owner (at Scaleway, one whose preferred project is the bucket's)";

impl StateBucket<'_> {
    /// The item of the bucket itself: good, to be created, or refused.
    pub(super) fn ownership(&self, answers: &Answers) -> Result<Item<Fix>, Failure> {
        let (name, region) = (&self.state.bucket, &self.state.region);
        let should = format!("this account's, in {region}");
        let refused = |is: &str, next: &str| Ok(Item::refused("bucket", is, should.clone(), next));
        if let Some(other) = self.other_region(answers) {
            return refused(&other, &format!("write its region into `state` in deploy.yaml, or {ANOTHER}"));
        }
        let not_ours = format!("{ANOTHER}, {ITS_OWNER}");
        match &answers.region {
            Err(error) if error.kind == Kind::NoBucket => {
                let create = format!("create {name} in {region}");
                return Ok(Item::differs("bucket", "not found", should, create, Fix::Create));
            }
            Err(error) if error.kind == Kind::Denied => {
                return refused("another account's, or closed to this key", &not_ours);
            }
            Err(error) => return Err(self.explain(error.clone())),
            Ok(_) => {}
        }
        match &answers.own {
            Ok(false) => refused("another account's, which lets this key in", &not_ours),
            // At these two, bucket names are global: the bucket may belong to any account.
            Err(error) if matches!(self.state.provider, Provider::Aws | Provider::Scaleway) => {
                let next = "use a key that may list the account's buckets (s3:ListAllMyBuckets)";
                refused(&format!("perhaps another account's ({error})"), next)
            }
            Ok(true) | Err(_) => Ok(Item::good("bucket", should)),
        }
    }

    /// The items that wait for the bucket.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Item<Fix>> {
        WAITING.into_iter().map(|(about, will_be)| Item::waits(about, "comes with the bucket", will_be))
    }

    /// The item of the bucket's objects: good, or refused.
    pub(super) fn objects(&self, answers: &Answers) -> Item<Fix> {
        let keys = match &answers.keys {
            Ok(keys) => keys,
            Err(error) => {
                let next = "use a key that may list the bucket's objects (s3:ListBucket)";
                return Item::refused("objects", format!("could not be listed ({error})"), "states", next);
            }
        };
        let is_expected = |key: &&String| self.is_state(key) || self.is_deploy_state(key, keys);
        let others: Vec<String> = keys.iter().filter(|key| !is_expected(key)).map(|key| printable(key)).collect();
        if let [first, more @ ..] = &others[..] {
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let next = format!("states need a bucket of their own: {ANOTHER}");
            return Item::refused("objects", format!("{first}{more}"), "states", next);
        }
        let is_state = |key: &&String| self.is_state(key) && !key.starts_with(OWN_FOLDER) && !key.ends_with(".tflock");
        Item::good(
            "objects",
            match keys.iter().filter(is_state).count() {
                0 => "no state yet".to_owned(),
                1 => "one state".to_owned(),
                more => format!("{more} states"),
            },
        )
    }

    /// The region of the bucket, if it is not the one in deploy.yaml. R2 has one region only.
    fn other_region(&self, answers: &Answers) -> Option<String> {
        let errors = [answers.region.as_ref().err(), answers.own.as_ref().err(), answers.keys.as_ref().err()];
        let told = errors.into_iter().flatten().find_map(|error| match &error.kind {
            Kind::Elsewhere(Some(region)) => Some(format!("in {region}")),
            Kind::Elsewhere(None) => Some(format!("in another region: {}", error.said)),
            _ => None,
        });
        let region = answers.region.as_ref().ok().and_then(Option::as_ref);
        let other = region.filter(|region| **region != self.state.region && self.state.provider != Provider::R2);
        told.or_else(|| other.map(|region| format!("in {region}")))
    }

    /// Whether an object is a state, a lock of one, or a probe: by its name, or by a `key` in deploy.yaml.
    fn is_state(&self, key: &str) -> bool {
        let object = key.strip_suffix(".tflock").unwrap_or(key);
        let mut named = self.environments().filter_map(|environment| environment.stack()?.state.key.as_deref());
        key.starts_with(OWN_FOLDER)
            || key.ends_with(".tflock")
            || object.ends_with(".tfstate")
            || named.any(|key| key == object)
    }

    /// Whether an object belongs to the store of an environment: its lease, journal, records or plan. The environment is in
    /// deploy.yaml, or its state is in the bucket, as for one that another project has, or that deploy.yaml had earlier.
    fn is_deploy_state(&self, key: &str, keys: &[String]) -> bool {
        let mut slashes = key.match_indices('/').map(|(at, _)| at);
        let Some(end) = slashes.nth(1) else { return false };
        let (prefix, own) = (&key[..end], &key[end + 1..]);
        let is_here = self.environments().any(|environment| self.env.other(environment).store_prefix() == prefix);
        is_own_key(own) && (is_here || keys.contains(&format!("{prefix}.tfstate")))
    }
}
