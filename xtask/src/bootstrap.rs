//! What a stack needs and cannot create: the bucket of its state, the DNS zone of its domain, the registry of its images, the
//! key that signs URLs, and the repository at GitHub that it is deployed from.
//!
//! Each is inspected item by item, and fixed item by item. `commands/bootstrap` asks for consent in between.

pub mod github;
pub mod item;
pub mod registry;
pub mod signing_key;
pub mod state;
mod variable;
pub mod zone;

use std::collections::BTreeSet;

use anyhow::anyhow;

use self::item::{Item, Verdict};
use crate::check::Check;
use crate::env::Env;
use crate::failure::Failure;
use crate::image::ServiceImage;

/// A bucket, a zone, a registry or a repository that a stack needs.
pub trait Prerequisite {
    /// What fixing one item takes.
    type Fix;

    /// The first line of the output.
    fn title(&self) -> String;

    /// The command that inspects and fixes it, without flags: `cargo xtask bootstrap state production`.
    fn command(&self) -> String;

    /// Inspects every item. Changes nothing that lasts. Fails when the service does not answer.
    async fn inspect(&self) -> Result<Vec<Item<Self::Fix>>, Failure>;

    /// Fixes one item. Items that wait are inspected again afterwards.
    async fn fix(&self, fix: &Self::Fix) -> Result<(), Failure>;
}

/// The result of an inspection when nothing more will be fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every item is as it should be, or as close to it as the provider allows.
    Met,
    /// An item differs, waits, or has to be fixed by hand.
    Pending,
}

/// The items to fix now: those that differ and were not fixed before. None while an item is refused.
pub fn fixable<'i, F>(items: &'i [Item<F>], fixed: &BTreeSet<String>) -> Vec<(&'i Item<F>, &'i str, &'i F)> {
    if items.iter().any(|item| matches!(item.verdict, Verdict::Refused { .. })) {
        return Vec::new();
    }
    let fix = |item: &'i Item<F>| match &item.verdict {
        Verdict::Differs { how, fix } if !fixed.contains(&item.about) => Some((item, how.as_str(), fix)),
        _ => None,
    };
    items.iter().filter_map(fix).collect()
}

/// Judges an inspection after which nothing more will be fixed. Fails with [`Failure::Refused`] when an item is refused,
/// and when a fix had no effect.
pub fn judge<F>(items: &[Item<F>], fixed: &BTreeSet<String>, command: &str) -> Result<Outcome, Failure> {
    let refused = items.iter().find_map(|item| match &item.verdict {
        Verdict::Refused { next } => Some(format!("{}: {}; xtask does not touch it\n  {next}", item.about, item.is)),
        _ => None,
    });
    if let Some(refused) = refused {
        return Err(Failure::Refused(anyhow!(refused)));
    }
    let differs = items.iter().filter(|item| matches!(item.verdict, Verdict::Differs { .. }));
    let without_effect: Vec<&str> =
        differs.map(|item| item.about.as_str()).filter(|about| fixed.contains(*about)).collect();
    if !without_effect.is_empty() {
        let items = without_effect.join(", ");
        return Err(anyhow!("{items}: the fix had no effect; to check again, type: {command} --check").into());
    }
    let is_pending =
        |item: &Item<F>| matches!(item.verdict, Verdict::Differs { .. } | Verdict::ByHand { .. } | Verdict::Waits);
    Ok(if items.iter().any(is_pending) { Outcome::Pending } else { Outcome::Met })
}

/// Whether two inspections found the same.
pub fn is_unchanged<F>(before: &[Item<F>], now: &[Item<F>]) -> bool {
    before.len() == now.len() && before.iter().zip(now).all(|(before, now)| before.detail() == now.detail())
}

/// Doctor's checks of the zone and the registry. That of the state's bucket is among the stack's checks.
pub async fn checks(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    let image = env.config.image.as_ref().map(|_| ServiceImage::find(env)).transpose()?;
    let registry = async {
        match &image {
            Some(image) => registry::check(image).await,
            None => None,
        }
    };
    let (zone, registry) = tokio::join!(zone::check(env), registry);
    Ok(zone.into_iter().chain(registry).collect())
}
