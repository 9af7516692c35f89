//! How two commits stand to each other.

use serde::Deserialize;

use super::{GitHub, Result};
use crate::release::short_commit;

/// How a commit stands to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compared {
    /// It descends from the other.
    Ahead,
    /// The other descends from it.
    Behind,
    /// Neither descends from the other.
    Diverged,
    /// It is the same.
    Identical,
}

impl GitHub {
    /// How `commit` stands to `base`; none where the repository does not have both.
    pub async fn compare(&self, base: &str, commit: &str) -> Result<Option<Compared>> {
        #[derive(Deserialize)]
        struct Answer {
            status: Compared,
        }
        // The commits and files in between are not needed: one a page.
        let path = format!("/compare/{base}...{commit}?per_page=1");
        let what = format!("comparing {} with {}", short_commit(commit), short_commit(base));
        Ok(self.find::<Answer>(&path, &what).await?.map(|answer| answer.status))
    }
}
