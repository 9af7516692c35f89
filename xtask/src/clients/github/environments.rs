//! Environments: who approves what is deployed to them, and from which branches and tags it may come.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::releases::encoded;
use super::{GitHub, Result};

/// How an environment is protected. A request leaves every other setting as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Who can approve; one of them is enough. Empty where no one has to.
    pub reviewers: Vec<Reviewer>,
    /// Whether the one who started a deployment must not approve it.
    pub prevent_self_review: bool,
    /// Minutes that a deployment waits.
    pub wait_timer: u32,
    /// None where any branch and tag may be deployed.
    pub refs: Option<RefPolicy>,
}

/// A person or a team that approves deployments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reviewer {
    /// Which of the two.
    pub kind: ReviewerKind,
    /// For the API.
    pub id: u64,
    /// The person's login, or the team's short name.
    pub name: String,
}

/// What a reviewer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum ReviewerKind {
    /// A person.
    User,
    /// A team.
    Team,
}

/// Which branches and tags may be deployed: the protected ones, or those that are named. GitHub wants one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefPolicy {
    /// Those that a rule protects.
    pub protected_branches: bool,
    /// Those that [`GitHub::deployable_refs`] names.
    pub custom_branch_policies: bool,
}

/// Branches or tags that may be deployed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeployableRef {
    /// For the API.
    pub id: u64,
    /// A name, or a pattern of names.
    pub name: String,
    /// Which of the two.
    #[serde(rename = "type", default)]
    pub kind: RefKind,
}

/// What a name is the name of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefKind {
    /// A branch.
    #[default]
    Branch,
    /// A tag.
    Tag,
}

/// What a person may do in the repository.
#[derive(Clone, Debug, Deserialize)]
pub struct Access {
    /// `admin`, `write`, `read` or `none`.
    pub permission: String,
    user: Option<User>,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    id: u64,
    login: String,
}

/// An environment as GitHub answers it.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    protection_rules: Vec<Rule>,
    #[serde(default)]
    deployment_branch_policy: Option<RefPolicy>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Rule {
    WaitTimer {
        #[serde(default)]
        wait_timer: u32,
    },
    RequiredReviewers {
        #[serde(default)]
        prevent_self_review: bool,
        #[serde(default)]
        reviewers: Vec<Shown>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "type")]
    kind: String,
    reviewer: Value,
}

impl Access {
    /// The person as a reviewer.
    pub fn reviewer(&self) -> Option<Reviewer> {
        let user = self.user.as_ref()?;
        Some(Reviewer { kind: ReviewerKind::User, id: user.id, name: user.login.clone() })
    }
}

impl GitHub {
    /// How an environment is protected; none where there is no such environment.
    pub async fn environment(&self, name: &str) -> Result<Option<Protection>> {
        let answer: Option<Answer> = self.find(&path(name), &format!("reading the environment {name}")).await?;
        Ok(answer.map(protection))
    }

    /// Makes an environment, or changes its protection.
    pub async fn put_environment(&self, name: &str, protection: &Protection) -> Result<()> {
        let reviewers = protection.reviewers.iter();
        let reviewers: Vec<Value> =
            reviewers.map(|reviewer| json!({ "type": reviewer.kind, "id": reviewer.id })).collect();
        let body = json!({
            "wait_timer": protection.wait_timer,
            "prevent_self_review": protection.prevent_self_review,
            "reviewers": reviewers,
            "deployment_branch_policy": protection.refs,
        });
        let what = format!("setting the environment {name}");
        self.call::<Value>(Method::PUT, &path(name), Some(&body), &what).await.map(drop)
    }

    /// The branches and tags that may be deployed to an environment whose policy names them.
    pub async fn deployable_refs(&self, environment: &str) -> Result<Vec<DeployableRef>> {
        let what = format!("listing the branches and tags that may be deployed to {environment}");
        self.list(&refs_path(environment), Some("branch_policies"), &what).await
    }

    /// Adds one. Where it is there already, GitHub leads to it.
    pub async fn add_deployable_ref(&self, environment: &str, name: &str, kind: RefKind) -> Result<()> {
        let body = json!({ "name": name, "type": kind });
        let what = format!("allowing that {name} is deployed to {environment}");
        self.call::<Value>(Method::POST, &refs_path(environment), Some(&body), &what).await.map(drop)
    }

    /// Removes one.
    pub async fn remove_deployable_ref(&self, environment: &str, one: &DeployableRef) -> Result<()> {
        let what = format!("forbidding that {} is deployed to {environment}", one.name);
        self.delete(&format!("{}/{}", refs_path(environment), one.id), &what).await
    }

    /// What a person may do; none where GitHub has no such person.
    pub async fn access(&self, login: &str) -> Result<Option<Access>> {
        let path = format!("/collaborators/{}/permission", encoded(login));
        self.find(&path, &format!("reading what {login} may do in the repository")).await
    }

    /// The teams that have access.
    pub async fn teams(&self) -> Result<Vec<Reviewer>> {
        #[derive(Deserialize)]
        struct Team {
            id: u64,
            slug: String,
        }
        let teams: Vec<Team> = self.list("/teams", None, "listing the teams of the repository").await?;
        let reviewer = |team: Team| Reviewer { kind: ReviewerKind::Team, id: team.id, name: team.slug };
        Ok(teams.into_iter().map(reviewer).collect())
    }
}

/// The path of an environment.
pub(super) fn path(environment: &str) -> String {
    format!("/environments/{}", encoded(environment))
}

fn refs_path(environment: &str) -> String {
    format!("{}/deployment-branch-policies", path(environment))
}

fn protection(answer: Answer) -> Protection {
    let mut protection = Protection { refs: answer.deployment_branch_policy, ..Protection::default() };
    for rule in answer.protection_rules {
        match rule {
            Rule::WaitTimer { wait_timer } => protection.wait_timer = wait_timer,
            Rule::RequiredReviewers { prevent_self_review, reviewers } => {
                protection.prevent_self_review = prevent_self_review;
                protection.reviewers = reviewers.into_iter().filter_map(reviewer).collect();
            }
            Rule::Other => {}
        }
    }
    protection
}

fn reviewer(shown: Shown) -> Option<Reviewer> {
    let (kind, name) = match shown.kind.as_str() {
        "Team" => (ReviewerKind::Team, "slug"),
        _ => (ReviewerKind::User, "login"),
    };
    let of = &shown.reviewer;
    Some(Reviewer { kind, id: of["id"].as_u64()?, name: of[name].as_str()?.to_owned() })
}
