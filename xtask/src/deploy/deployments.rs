//! What GitHub shows of an environment: a deployment for each run in a job of GitHub Actions, which says how it stands. It decides
//! nothing, and a deploy does not fail by it.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::clients::github::{Deployment, DeploymentState, GitHub, GitHubError, NewDeployment, NewStatus};
use crate::env::Env;
use crate::state::history::{Outcome, Record};
use crate::tools::platform::variable;

/// How long GitHub may take altogether, at the beginning of a run and at its end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The API's limit of a description, in characters.
const LONGEST: usize = 140;

/// The deployment of a run.
pub struct Deployments<'a> {
    env: &'a Env<'a>,
    opened: OnceCell<Option<Opened>>,
}

/// A deployment that was opened.
struct Opened {
    github: GitHub,
    deployment: Deployment,
    /// Those that GitHub shows as active.
    before: Vec<Deployment>,
}

impl<'a> Deployments<'a> {
    /// None outside of a job of GitHub Actions, nor for an environment of this machine.
    pub fn of(env: &'a Env<'a>) -> Self {
        let opened = match is_job() && env.environment.stack().is_some() {
            true => OnceCell::new(),
            false => OnceCell::new_with(Some(None)),
        };
        Self { env, opened }
    }

    /// Opens the deployment of a run, and ends those of earlier runs that were killed: only the holder of the lease deploys.
    pub async fn open(&self, record: &Record, live: Option<&Record>) {
        let open = async {
            let opened = timeout(PATIENCE, self.try_open(record, live)).await;
            match opened.unwrap_or_else(|_| Err(anyhow::anyhow!("GitHub took more than {} s", PATIENCE.as_secs()))) {
                Ok(opened) => opened,
                Err(error) => {
                    self.env.report.warn(&format!("GitHub does not show this deployment: {error:#}"));
                    None
                }
            }
        };
        self.opened.get_or_init(|| open).await;
    }

    /// Says how the run ended.
    pub async fn close(&self, record: &Record, live: Option<&Record>, is_unchanged: bool) {
        let Some(Some(opened)) = self.opened.get() else { return };
        let (state, said) = match (record.outcome, is_unchanged) {
            (_, true) | (Outcome::Live, _) => (DeploymentState::Success, format!("{} serves", record.version())),
            (Outcome::Restored, _) => {
                let serves = live.map(|live| format!("; {} serves", live.version())).unwrap_or_default();
                (DeploymentState::Failure, format!("{} was not healthy{serves}", record.version()))
            }
            (outcome, _) => (DeploymentState::Failure, format!("{}: {}", record.version(), outcome.words())),
        };
        // The address of an unchanged release is in its record.
        let address = record.address.as_deref().or_else(|| live.filter(|_| is_unchanged)?.address.as_deref());
        let status = self.status(state, &said, address.filter(|_| state == DeploymentState::Success));
        let set = async {
            opened.github.set_deployment_status(&opened.deployment, &status).await?;
            // GitHub does this by itself only for environments that it does not take for production.
            let others = if state == DeploymentState::Success { opened.before.as_slice() } else { &[] };
            for other in others {
                let inactive = self.status(DeploymentState::Inactive, &format!("{} serves", record.version()), None);
                opened.github.set_deployment_status(other, &inactive).await?;
            }
            Ok::<_, GitHubError>(())
        };
        let set = timeout(PATIENCE, set).await;
        let error = match set {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("GitHub took more than {} s", PATIENCE.as_secs()),
        };
        self.env.report.warn(&format!("GitHub does not show how this deployment ended: {error}"));
    }

    async fn try_open(&self, record: &Record, live: Option<&Record>) -> anyhow::Result<Option<Opened>> {
        let Some(source) = &record.source else { return Ok(None) };
        let github = self.env.github().await.map_err(crate::failure::Failure::into_error)?;
        let (name, mut before) = (self.env.name(), Vec::new());
        // Others may use deployments of their own.
        let run_of = |deployment: &Deployment| deployment.payload["run"].as_str().map(str::to_owned);
        let earlier = github.deployments(name).await?;
        let earlier =
            earlier.into_iter().filter_map(|one| Some((run_of(&one)?, one))).filter(|(run, _)| *run != record.id);
        let with_status =
            earlier.map(async |(run, one)| github.deployment_status(&one).await.map(|status| (run, one, status)));
        for (run, earlier, status) in try_join_all(with_status).await? {
            let lives = live.is_some_and(|live| live.id == run);
            let state = match status.map(|status| status.state) {
                None | Some(DeploymentState::InProgress | DeploymentState::Queued | DeploymentState::Pending) => {
                    let (state, said) = match lives {
                        true => (DeploymentState::Success, "it serves; its job ended before it could say so"),
                        false => (DeploymentState::Error, "its job ended before it could say how the deploy ended"),
                    };
                    github.set_deployment_status(&earlier, &self.status(state, said, None)).await?;
                    state
                }
                Some(state) => state,
            };
            if state == DeploymentState::Success {
                before.push(earlier);
            }
        }
        let description = source.subject.chars().take(LONGEST).collect::<String>();
        let new =
            NewDeployment { commit: &source.commit, environment: name, run: &record.id, description: &description };
        let deployment = github.create_deployment(&new).await?;
        let status = self.status(DeploymentState::InProgress, &format!("deploying {}", source.version), None);
        github.set_deployment_status(&deployment, &status).await?;
        Ok(Some(Opened { github, deployment, before }))
    }

    fn status<'s>(&self, state: DeploymentState, said: &str, address: Option<&'s str>) -> NewStatus<'s> {
        let description = said.chars().take(LONGEST).collect();
        NewStatus { state, description, environment_url: address, log_url: log_address() }
    }
}

/// Whether this is a job of GitHub Actions.
fn is_job() -> bool {
    variable("GITHUB_ACTIONS").as_deref() == Some("true") && variable("GITHUB_RUN_ID").is_some()
}

/// The page with the job's log.
fn log_address() -> Option<String> {
    let part = |name| variable(name);
    Some(format!(
        "{}/{}/actions/runs/{}",
        part("GITHUB_SERVER_URL")?,
        part("GITHUB_REPOSITORY")?,
        part("GITHUB_RUN_ID")?
    ))
}
