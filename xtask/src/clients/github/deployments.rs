//! Deployments: what GitHub shows as an environment's history, with a status and addresses each.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::releases::encoded;
use super::{GitHub, Result};

/// A deployment to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    /// For the API.
    pub id: u64,
    /// The commit that is deployed.
    pub sha: String,
    /// What the toolkit has put beside it.
    #[serde(default)]
    pub payload: serde_json::Value,
}

/// A deployment to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewDeployment<'a> {
    /// The commit, 40 hexadecimal digits.
    pub commit: &'a str,
    /// The environment's name.
    pub environment: &'a str,
    /// Tells this run from every other, so that it has one deployment.
    pub run: &'a str,
    /// For people.
    pub description: &'a str,
}

/// How a deployment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// It waits.
    Queued,
    /// It waits for something outside.
    Pending,
    /// It is under way.
    InProgress,
    /// It serves.
    Success,
    /// It failed.
    Failure,
    /// It could not be carried out.
    Error,
    /// Another one serves.
    Inactive,
}

/// A status to be set.
#[derive(Clone, Debug, Serialize)]
pub struct NewStatus<'a> {
    /// How it stands.
    pub state: DeploymentState,
    /// For people, at most 140 characters.
    pub description: String,
    /// Where the release answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<&'a str>,
    /// Where the log is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
}

/// A status that was set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// How the deployment stands.
    pub state: DeploymentState,
    /// Where the log is; empty where none was named.
    #[serde(default)]
    pub log_url: Option<String>,
}

impl GitHub {
    /// The newest deployments of an environment, newest first; at most one page.
    pub async fn deployments(&self, environment: &str) -> Result<Vec<Deployment>> {
        let path = format!("/deployments?environment={}&per_page=30", encoded(environment));
        self.get(&path, &format!("listing the deployments to {environment}")).await
    }

    /// Makes a deployment. GitHub merges nothing and asks for no checks: the toolkit has decided.
    pub async fn create_deployment(&self, new: &NewDeployment<'_>) -> Result<Deployment> {
        let body = json!({
            "ref": new.commit,
            "environment": new.environment,
            "description": new.description,
            "auto_merge": false,
            "required_contexts": [],
            "payload": { "run": new.run },
        });
        let what = format!("making a deployment to {}", new.environment);
        self.create("/deployments", &body, &what, async || {
            let all = self.deployments(new.environment).await?;
            Ok(all.into_iter().find(|one| one.payload["run"] == new.run))
        })
        .await
    }

    /// The last status of a deployment; none before the first.
    pub async fn deployment_status(&self, deployment: &Deployment) -> Result<Option<Status>> {
        let path = format!("/deployments/{}/statuses?per_page=1", deployment.id);
        let all: Vec<Status> = self.get(&path, "reading the status of a deployment").await?;
        Ok(all.into_iter().next())
    }

    /// Sets the status of a deployment. A success makes earlier deployments of the environment inactive. Setting one twice
    /// changes nothing but the list.
    pub async fn set_deployment_status(&self, deployment: &Deployment, status: &NewStatus<'_>) -> Result<()> {
        let mut body = json!(status);
        body["auto_inactive"] = true.into();
        let path = format!("/deployments/{}/statuses", deployment.id);
        let what = "setting the status of a deployment";
        self.call::<serde_json::Value>(http::Method::POST, &path, Some(&body), what).await.map(drop)
    }
}
