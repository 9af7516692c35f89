//! Whether the bucket is there, is ours, and is for states: what is not, is not touched.

use super::found::Found;
use super::locking::OURS;
use super::{Mend, StateBucket};
use crate::config::Provider;
use crate::remote::s3::error::Kind;
use crate::story::Failure;
use crate::story::bootstrap::item::Item;
use crate::story::image::list::printable;

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

impl StateBucket<'_> {
    /// What is to be said of the bucket as a whole, and whether more is to be said: not while it is missing or not ours.
    pub(super) fn whose(&self, found: &Found) -> Result<(Vec<Item<Mend>>, bool), Failure> {
        let (name, region) = (&self.infra.stack.state.bucket, &self.infra.stack.state.region);
        let should = format!("ours, in {region}");
        let refused = |is: String, next: &str| Ok((vec![Item::refused("bucket", is, should.clone(), next)], false));
        if let Some(other) = self.elsewhere(found) {
            let next =
                format!("write its region into `state` of {} in deploy.yaml, or another bucket", self.infra.name);
            return refused(other, &next);
        }
        match &found.region {
            Err(error) if error.kind == Kind::NoBucket => {
                let make = format!("make {name} in {region}");
                let mut items = vec![Item::differs("bucket", "not there", should, make, Mend::Create)];
                items.extend(WAITING.map(|(about, will_be)| Item::waits(about, "comes with the bucket", will_be)));
                return Ok((items, false));
            }
            Err(error) if error.kind == Kind::Denied => {
                let is = "somebody else's, or closed to this key".to_owned();
                return refused(
                    is,
                    "write another `bucket` into `state` in deploy.yaml, or use a key that may do everything with it (at Scaleway: one with its project as the preferred project)",
                );
            }
            Err(error) => return Err(self.explain(error.clone())),
            Ok(_) => {}
        }
        match &found.own {
            Ok(true) => {}
            Ok(false) => {
                return refused(
                    "somebody else's, who lets this key in".to_owned(),
                    "write another `bucket` into `state` in deploy.yaml, or use a key of its owner (at Scaleway: one with the bucket's project as its preferred project)",
                );
            }
            // Names are each provider's own, but for these two: there a bucket of this name may be anybody's.
            Err(error) if matches!(self.provider(), Provider::Aws | Provider::Scaleway) => {
                let is = format!("perhaps somebody else's ({error})");
                return refused(is, "use a key that may list the buckets (s3:ListAllMyBuckets), which tells");
            }
            Err(_) => {}
        }
        let mut items = vec![Item::good("bucket", should.clone())];
        let keys = match &found.keys {
            Ok(keys) => keys,
            Err(error) => {
                items.push(Item::refused(
                    "objects",
                    format!("not told ({error})"),
                    "states",
                    "use a key that may list the bucket",
                ));
                return Ok((items, false));
            }
        };
        let others: Vec<String> = keys.iter().filter(|key| !self.is_state(key)).map(|key| printable(key)).collect();
        if let [first, more @ ..] = &others[..] {
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let is = format!("no states: {first}{more}");
            items.push(Item::refused(
                "objects",
                is,
                "states",
                "states take a bucket of their own: write another `bucket` into `state` in deploy.yaml",
            ));
            return Ok((items, false));
        }
        let states = keys.iter().filter(|key| !key.starts_with(OURS) && !key.ends_with(".tflock")).count();
        let is = match states {
            0 => "no state yet".to_owned(),
            1 => "one state".to_owned(),
            more => format!("{more} states"),
        };
        items.push(Item::good("objects", is));
        Ok((items, true))
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
