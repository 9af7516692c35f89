//! Whether the bucket is there, is ours, and is for states: what is not, is not touched.

use super::found::Found;
use super::locking::OURS;
use super::{Mend, StateBucket};
use crate::bootstrap::item::Item;
use crate::clients::s3::error::Kind;
use crate::config::Provider;
use crate::failure::Failure;
use crate::image::list::printable;

/// What waits for a bucket that is to be made, and what it will be.
const WAITING: [(&str, &str); 7] = [
    ("locking", "tried"),
    ("old versions", "kept"),
    ("public access", "closed"),
    ("encryption", "on"),
    ("requests", "by TLS alone"),
    ("lifecycle", "set"),
    ("tags", "set"),
];

/// What to do about a bucket that is not ours.
const ANOTHER: &str = "write another `bucket` into `state` in deploy.yaml";
const ITS_OWNER: &str = "or use a key of its owner, at Scaleway one whose preferred project is the bucket's";

impl StateBucket<'_> {
    /// What is to be said of the bucket as a whole: good, to be made, or refused.
    pub(super) fn whose(&self, found: &Found) -> Result<Item<Mend>, Failure> {
        let (name, region) = (&self.infra.stack.state.bucket, &self.infra.stack.state.region);
        let should = format!("ours, in {region}");
        let refused = |is: &str, next: &str| Ok(Item::refused("bucket", is, should.clone(), next));
        if let Some(other) = self.elsewhere(found) {
            return refused(&other, &format!("write its region into `state` in deploy.yaml, or {ANOTHER}"));
        }
        let not_ours = format!("{ANOTHER}, {ITS_OWNER}");
        match &found.region {
            Err(error) if error.kind == Kind::NoBucket => {
                let make = format!("make {name} in {region}");
                return Ok(Item::differs("bucket", "not there", should, make, Mend::Create));
            }
            Err(error) if error.kind == Kind::Denied => {
                return refused("somebody else's, or closed to this key", &not_ours);
            }
            Err(error) => return Err(self.explain(error.clone())),
            Ok(_) => {}
        }
        match &found.own {
            Ok(false) => refused("somebody else's, who lets this key in", &not_ours),
            // Names are each provider's own, but for these two: there a bucket of this name may be anybody's.
            Err(error) if matches!(self.provider(), Provider::Aws | Provider::Scaleway) => {
                let next = "use a key that may list the buckets (s3:ListAllMyBuckets), which tells";
                refused(&format!("perhaps somebody else's ({error})"), next)
            }
            Ok(true) | Err(_) => Ok(Item::good("bucket", should)),
        }
    }

    /// What waits for a bucket that is to be made.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Item<Mend>> {
        WAITING.into_iter().map(|(about, will_be)| Item::waits(about, "comes with the bucket", will_be))
    }

    /// What is in it: good, or refused.
    pub(super) fn objects(&self, found: &Found) -> Item<Mend> {
        let keys = match &found.keys {
            Ok(keys) => keys,
            Err(error) => {
                return Item::refused(
                    "objects",
                    format!("not told ({error})"),
                    "states",
                    "use a key that may list them",
                );
            }
        };
        let others: Vec<String> = keys.iter().filter(|key| !self.is_state(key)).map(|key| printable(key)).collect();
        if let [first, more @ ..] = &others[..] {
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let next = format!("states take a bucket of their own: {ANOTHER}");
            return Item::refused("objects", format!("no states: {first}{more}"), "states", next);
        }
        let states = keys.iter().filter(|key| !key.starts_with(OURS) && !key.ends_with(".tflock")).count();
        Item::good(
            "objects",
            match states {
                0 => "no state yet".to_owned(),
                1 => "one state".to_owned(),
                more => format!("{more} states"),
            },
        )
    }

    /// Where it is, if that is not where deploy.yaml says. R2 has one place for all.
    fn elsewhere(&self, found: &Found) -> Option<String> {
        let errors = [found.region.as_ref().err(), found.own.as_ref().err(), found.keys.as_ref().err()];
        let told = errors.into_iter().flatten().find_map(|error| match &error.kind {
            Kind::Elsewhere(Some(region)) => Some(format!("in {region}")),
            Kind::Elsewhere(None) => Some(format!("in another region: {}", error.said)),
            _ => None,
        });
        let region = found.region.as_ref().ok().and_then(Option::as_ref);
        let other =
            region.filter(|region| **region != self.infra.stack.state.region && self.provider() != Provider::R2);
        told.or_else(|| other.map(|region| format!("in {region}")))
    }

    /// Whether an object has to do with states: by its name, or by the names that deploy.yaml gives to states in this bucket.
    fn is_state(&self, key: &str) -> bool {
        let object = key.strip_suffix(".tflock").unwrap_or(key);
        let mut named = self.environments().filter_map(|environment| environment.stack()?.state.key.as_deref());
        key.starts_with(OURS)
            || key.ends_with(".tflock")
            || object.ends_with(".tfstate")
            || named.any(|key| key == object)
    }
}
