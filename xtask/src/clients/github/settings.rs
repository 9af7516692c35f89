//! What the repository allows its workflows, and whether its releases are immutable.

use http::Method;
use serde::{Deserialize, Serialize};

use super::{GitHub, Result};

const PERMISSIONS: &str = "/actions/permissions";
const SELECTED: &str = "/actions/permissions/selected-actions";
const TOKEN: &str = "/actions/permissions/workflow";
const FORKS: &str = "/actions/permissions/fork-pr-contributor-approval";
const IMMUTABLE: &str = "/immutable-releases";

/// Which actions workflows may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionsPermissions {
    /// Whether workflows run at all.
    pub enabled: bool,
    /// `all`, `local_only` or `selected`; none while workflows do not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_actions: Option<String>,
    /// Whether an action must be pinned to a commit; none where GitHub does not offer that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha_pinning_required: Option<bool>,
}

/// The actions that workflows may use where they are `selected`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectedActions {
    /// GitHub's own.
    #[serde(default)]
    pub github_owned_allowed: bool,
    /// Those of every author that GitHub has verified.
    #[serde(default)]
    pub verified_allowed: bool,
    /// Others, such as `owner/name@*`.
    #[serde(default)]
    pub patterns_allowed: Vec<String>,
}

/// What the token of a job may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowToken {
    /// `read` or `write`, where a workflow does not say more.
    pub default_workflow_permissions: String,
    /// Whether it can approve pull requests.
    pub can_approve_pull_request_reviews: bool,
}

/// Whose pull requests from a fork need an approval before their workflows run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkApproval {
    /// `all_external_contributors`, `first_time_contributors` or `first_time_contributors_new_to_github`.
    pub approval_policy: String,
}

impl GitHub {
    /// Which actions workflows may use.
    pub async fn actions_permissions(&self) -> Result<ActionsPermissions> {
        self.get(PERMISSIONS, "reading which actions workflows may use").await
    }

    /// Sets which actions workflows may use.
    pub async fn put_actions_permissions(&self, permissions: &ActionsPermissions) -> Result<()> {
        self.call(Method::PUT, PERMISSIONS, Some(permissions), "setting which actions workflows may use").await
    }

    /// The selected actions. Only to be read where they are `selected`.
    pub async fn selected_actions(&self) -> Result<SelectedActions> {
        self.get(SELECTED, "reading the allowed actions").await
    }

    /// Sets the selected actions.
    pub async fn put_selected_actions(&self, selected: &SelectedActions) -> Result<()> {
        self.call(Method::PUT, SELECTED, Some(selected), "setting the allowed actions").await
    }

    /// What the token of a job may do.
    pub async fn workflow_token(&self) -> Result<WorkflowToken> {
        self.get(TOKEN, "reading what the token of a workflow may do").await
    }

    /// Sets what the token of a job may do.
    pub async fn put_workflow_token(&self, token: &WorkflowToken) -> Result<()> {
        self.call(Method::PUT, TOKEN, Some(token), "setting what the token of a workflow may do").await
    }

    /// Whose pull requests from a fork need an approval. Not every repository has it.
    pub async fn fork_approval(&self) -> Result<ForkApproval> {
        self.get(FORKS, "reading whose pull requests from forks need an approval").await
    }

    /// Sets whose pull requests from a fork need an approval.
    pub async fn put_fork_approval(&self, approval: &ForkApproval) -> Result<()> {
        self.call(Method::PUT, FORKS, Some(approval), "setting whose pull requests from forks need an approval").await
    }

    /// Whether releases are immutable. GitHub says 404 where they are not, and where it does not offer it.
    pub async fn has_immutable_releases(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Answer {
            enabled: bool,
        }
        let answer: Option<Answer> = self.find(IMMUTABLE, "reading whether releases are immutable").await?;
        Ok(answer.is_some_and(|answer| answer.enabled))
    }

    /// Makes the releases from now on immutable.
    pub async fn make_releases_immutable(&self) -> Result<()> {
        self.call(Method::PUT, IMMUTABLE, None::<&()>, "making releases immutable").await
    }
}
