//! Whether releases are immutable.

use super::{Fix, GitHubRepository};
use crate::bootstrap::item::Item;
use crate::failure::Failure;

const ABOUT: &str = "releases";

impl GitHubRepository<'_> {
    /// That a release's files and tag cannot be changed. GitHub says the same where they can and where it does not offer it.
    pub(super) async fn releases(&self) -> Result<Item<Fix>, Failure> {
        let should = "immutable from now on";
        if let Some(refused) = self.refused(ABOUT, should, "the ruleset for tags keeps them from being moved") {
            return Ok(refused);
        }
        Ok(match self.github.has_immutable_releases().await.map_err(|error| self.explain(error))? {
            true => Item::good(ABOUT, "immutable"),
            false => Item::differs(ABOUT, "can be changed", should, "make them immutable", Fix::ImmutableReleases),
        })
    }

    pub(super) async fn make_releases_immutable(&self) -> Result<(), Failure> {
        self.keep_refusal(ABOUT, self.github.make_releases_immutable().await)
    }
}
