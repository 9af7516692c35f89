//! What no API sets: said at the end, for a person.

use super::{Fix, GitHubRepository};
use crate::bootstrap::item::Item;
use crate::failure::Failure;
use crate::needs::approved_at_github;

impl GitHubRepository<'_> {
    /// The items that a person has to look at. None of them is a reason to fail.
    pub(super) fn checklist(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let (repository, name) = (self.github.repository(), self.env.name());
        let owner = repository.split('/').next().unwrap_or_default();
        let environments: Vec<String> =
            self.stacks().map(|environment| approved_at_github(&environment.name)).collect();
        let release_token = match self.env.secret("RELEASE_TOKEN")? {
            Some(_) => Item::good("release token", "RELEASE_TOKEN is set here"),
            None => Item::unknown(
                "release token",
                "RELEASE_TOKEN is not set here: `release promote` needs the token of a person",
                "set",
                format!(
                    "who releases makes a fine-grained token for {repository} with contents: write, and puts it into .env.{name} \
                     (mode 0600) as RELEASE_TOKEN"
                ),
            ),
        };
        Ok(vec![
            release_token,
            Item::unknown(
                "two factors",
                "no API says whether all who can push need a second factor",
                "required of all who can push",
                format!(
                    "an organisation: github.com/organizations/{owner}/settings/security, require two-factor authentication; \
                     a person: github.com/settings/security"
                ),
            ),
            Item::unknown(
                "administrators",
                "no API says whether they are bound by the rules of environments",
                "bound by the environments' rules",
                format!(
                    "github.com/{repository}/settings/environments, {}: turn off \"Allow administrators to bypass\"",
                    environments.join(", ")
                ),
            ),
            Item::unknown(
                "notifications",
                "no API says who hears of failed workflows and security alerts",
                "on for failed workflows and security alerts",
                "github.com/settings/notifications, of each who deploys: Actions, and Dependabot alerts",
            ),
        ])
    }
}
