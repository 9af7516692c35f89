//! Rulesets: what may happen to branches and tags.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{GitHub, Result};

/// A ruleset in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedRuleset {
    /// For the API.
    pub id: u64,
    /// Unique in the repository.
    pub name: String,
}

/// What a ruleset says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// Unique in the repository.
    pub name: String,
    /// `branch` or `tag`.
    pub target: String,
    /// `active`, `evaluate` or `disabled`.
    pub enforcement: String,
    /// Those that it does not bind. GitHub shows them only to a token that may change them.
    #[serde(default)]
    pub bypass_actors: Vec<Value>,
    /// What it is about.
    #[serde(default)]
    pub conditions: Option<Conditions>,
    /// What it forbids or requires.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// What a ruleset is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The names of branches or tags.
    #[serde(default)]
    pub ref_name: RefNames,
}

/// Names of refs, such as `refs/heads/main`, or patterns of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefNames {
    /// Those that it is about.
    #[serde(default)]
    pub include: Vec<String>,
    /// Those of them that it is not about.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Rule {
    /// Nothing is deleted.
    Deletion,
    /// Nothing is pushed by force.
    NonFastForward,
    /// Nothing is moved.
    Update,
    /// A commit needs checks.
    RequiredStatusChecks {
        /// Which ones.
        parameters: RequiredChecks,
    },
    /// A rule that the toolkit does not set.
    #[serde(other)]
    Other,
}

/// The checks that a commit needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequiredChecks {
    /// Their names.
    pub required_status_checks: Vec<RequiredCheck>,
    /// Whether a pull request has to be up to date.
    pub strict_required_status_checks_policy: bool,
    /// Whether a new branch needs none. An older server does not know it.
    #[serde(default = "yes")]
    pub do_not_enforce_on_create: bool,
}

/// A check that a commit needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequiredCheck {
    /// Its name.
    pub context: String,
}

impl GitHub {
    /// The repository's own rulesets; not those of its organisation.
    pub async fn rulesets(&self) -> Result<Vec<ListedRuleset>> {
        self.list("/rulesets?includes_parents=false", None, "listing rulesets").await
    }

    /// What a ruleset says.
    pub async fn ruleset(&self, listed: &ListedRuleset) -> Result<Ruleset> {
        self.get(&format!("/rulesets/{}", listed.id), &format!("reading the ruleset {:?}", listed.name)).await
    }

    /// Makes a ruleset.
    pub async fn create_ruleset(&self, ruleset: &Ruleset) -> Result<()> {
        let what = format!("making the ruleset {:?}", ruleset.name);
        self.create("/rulesets", ruleset, &what, async || {
            let all = self.rulesets().await?;
            Ok(all.into_iter().find(|listed| listed.name == ruleset.name))
        })
        .await
        .map(drop)
    }

    /// Changes what a ruleset says.
    pub async fn put_ruleset(&self, id: u64, ruleset: &Ruleset) -> Result<()> {
        let what = format!("setting the ruleset {:?}", ruleset.name);
        self.call::<Value>(Method::PUT, &format!("/rulesets/{id}"), Some(ruleset), &what).await.map(drop)
    }
}

fn yes() -> bool {
    true
}
