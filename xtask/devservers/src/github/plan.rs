//! What a repository's plan, or an older server, does not offer.

use super::answer::Answer;
use super::repository::Repository;

/// A feature that is not offered everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Rulesets.
    Rulesets,
    /// Reviewers of an environment.
    Reviewers,
    /// Approval of the workflows of pull requests from forks.
    ForkApproval,
    /// Actions that must be pinned to a commit.
    ShaPinning,
    /// Single actions that are allowed. GitHub ignores them for some private repositories.
    AllowedActions,
    /// Immutable releases.
    ImmutableReleases,
}

impl Repository {
    /// Whether a feature is offered.
    pub fn offers(&self, feature: Feature) -> bool {
        !self.lacks.contains(&feature)
    }

    /// Refuses what is not offered, as GitHub does it.
    pub fn need(&self, feature: Feature) -> Result<(), Answer> {
        if self.offers(feature) {
            return Ok(());
        }
        let (status, message) = match feature {
            Feature::Rulesets => (403, "Upgrade to GitHub Pro or make this repository public to enable this feature."),
            Feature::Reviewers => (
                422,
                "Failed to create the environment protection rule. Please ensure the billing plan supports the required \
                 reviewers protection rule.",
            ),
            Feature::ForkApproval | Feature::ShaPinning | Feature::AllowedActions | Feature::ImmutableReleases => {
                (404, "Not Found")
            }
        };
        Err(Answer::error(status, message))
    }
}
