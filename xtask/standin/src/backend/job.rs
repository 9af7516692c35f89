//! Runs of jobs: containers of the Docker engine that end by themselves. What a run was started with is in a file of the state
//! folder; how it is, the engine says, until its container is removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, StopContainerOptionsBuilder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::container::engine::{inspect, is_running, remove};
use super::container::logs::{self, Labels, Line};
use super::container::rollout::pull;
use crate::services::Services;

/// How the files of runs begin.
const FILES: &str = "job-run-";

/// Seconds between SIGTERM and SIGKILL.
const GRACE_PERIOD: i32 = 10;

/// One start of a job definition.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Run {
    /// A UUID.
    pub id: String,
    pub region: String,
    pub definition: String,
    pub definition_name: String,
    pub project: String,
    pub created_at: Timestamp,
    /// A request to stop has come.
    pub stopped: bool,
    /// Its time was up.
    pub timed_out: bool,
    /// Why no container was started.
    pub error: Option<String>,
    /// How it ended, once its container is removed.
    pub ended: Option<State>,
}

/// How a run is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct State {
    pub state: String,
    pub reason: Option<String>,
    pub exit_code: Option<i64>,
    pub started_at: Option<String>,
    pub terminated_at: Option<String>,
}

/// What a run is started with.
pub struct Spec {
    pub image: String,
    pub startup_command: Vec<String>,
    pub args: Vec<String>,
    /// Also the secret ones.
    pub variables: BTreeMap<String, String>,
    pub mvcpu: Option<i64>,
    pub memory_mib: Option<i64>,
    pub timeout: Duration,
}

impl Run {
    /// Starts it, and returns before its container runs.
    pub fn start(self, services: &Arc<Services>, spec: Spec) -> Result<()> {
        self.save(services)?;
        let services = Arc::clone(services);
        tokio::spawn(async move {
            if let Err(error) = self.clone().run(&services, spec).await {
                let failed = Self { error: Some(format!("{error:#}")), ..self };
                failed.save(&services).ok();
            }
        });
        Ok(())
    }

    /// Those that are known.
    pub fn all(services: &Services) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in fs_err::read_dir(&services.state)? {
            let path = entry?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(FILES)) {
                all.push(serde_json::from_slice(&fs_err::read(path)?).context("read the file of a job run")?);
            }
        }
        all.sort_by_key(|run: &Self| run.created_at);
        Ok(all)
    }

    /// How it is now.
    pub async fn state(&self, services: &Services) -> Result<State> {
        if let Some(ended) = &self.ended {
            return Ok(ended.clone());
        }
        let new = |state: &str, reason: Option<&str>| State {
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            exit_code: None,
            started_at: None,
            terminated_at: None,
        };
        if self.error.is_some() {
            let ended = Some(self.created_at.to_string());
            return Ok(State { terminated_at: ended, ..new("failed", Some("invalid_image")) });
        }
        // One that was stopped before its container runs is not started.
        let waiting = || match self.stopped {
            true => {
                State { terminated_at: Some(self.created_at.to_string()), ..new("interrupted", Some("cancellation")) }
            }
            false => new("queued", None),
        };
        let Some(docker) = &services.docker else { return Ok(waiting()) };
        let Some(container) = inspect(docker, &self.name(services)).await? else { return Ok(waiting()) };
        let (running, engine) = (is_running(&container), container.state.unwrap_or_default());
        let is_set = |time: &String| !time.starts_with("0001-");
        let started = engine.started_at.filter(is_set);
        if running {
            let state = if self.stopped { "interrupting" } else { "running" };
            return Ok(State { started_at: started, ..new(state, None) });
        }
        let Some(terminated) = engine.finished_at.filter(is_set) else { return Ok(waiting()) };
        let code = engine.exit_code.unwrap_or_default();
        let ended = match code {
            _ if self.stopped => new("interrupted", Some("cancellation")),
            _ if self.timed_out => new("failed", Some("timeout")),
            _ if engine.oom_killed == Some(true) => new("failed", Some("memory_usage_exceeded")),
            0 => new("succeeded", None),
            _ => new("failed", Some("exited_with_error")),
        };
        Ok(State { exit_code: Some(code), started_at: started, terminated_at: Some(terminated), ..ended })
    }

    /// Stops it: SIGTERM, and SIGKILL after ten seconds. Returns at once.
    pub fn stop(&mut self, services: &Arc<Services>) -> Result<()> {
        self.stopped = true;
        self.save(services)?;
        if let Some(docker) = services.docker.clone() {
            let name = self.name(services);
            tokio::spawn(async move {
                let options = StopContainerOptionsBuilder::new().t(GRACE_PERIOD).build();
                // Fails if it has ended, or does not run yet: then it is not started.
                docker.stop_container(&name, Some(options)).await.ok();
            });
        }
        Ok(())
    }

    /// Removes its container, and keeps how it ended and what it logged.
    pub async fn settle(&mut self, services: &Services) -> Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        self.ended = Some(self.state(services).await?);
        if let Some(docker) = &services.docker {
            logs::keep_lines(services, &self.labels(), &self.lines(docker, services, 0).await?)?;
            self.save(services)?;
            remove(docker, &self.name(services)).await?;
        }
        self.save(services)
    }

    /// What it has logged since a time in nanoseconds, or a little earlier, as long as its container exists.
    pub async fn lines(&self, docker: &Docker, services: &Services, since: i64) -> Result<Vec<Line>> {
        logs::from_engine(docker, &self.labels(), &self.name(services), "all", since).await
    }

    /// What identifies its lines.
    pub fn labels(&self) -> Labels {
        Labels {
            project_id: self.project.clone(),
            region: self.region.clone(),
            resource_id: self.id.clone(),
            resource_name: self.definition_name.clone(),
            resource_type: "serverless_job".to_owned(),
            service_name: "serverless_job".to_owned(),
        }
    }

    async fn run(self, services: &Arc<Services>, spec: Spec) -> Result<()> {
        let docker = services.docker.as_ref().context("the stand-in has no Docker engine, so no job can run")?;
        pull(docker, &spec.image).await?.map_err(anyhow::Error::msg)?;
        let (name, timeout) = (self.name(services), spec.timeout);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        docker.create_container(Some(options), self.body(services, spec)).await.context("create a container")?;
        if self.read_again(services)?.stopped {
            return Ok(());
        }
        docker.start_container(&name, None).await.context("start a container")?;
        let mut again = self.read_again(services)?;
        if again.stopped {
            return again.stop(services);
        }
        tokio::time::sleep(timeout).await;
        if inspect(docker, &name).await?.as_ref().is_some_and(is_running) {
            Self { timed_out: true, ..self.read_again(services)? }.save(services)?;
            let options = StopContainerOptionsBuilder::new().t(GRACE_PERIOD).build();
            docker.stop_container(&name, Some(options)).await.context("stop a container")?;
        }
        Ok(())
    }

    fn body(&self, services: &Services, spec: Spec) -> ContainerCreateBody {
        let Spec { image, startup_command, args, variables, mvcpu, memory_mib, .. } = spec;
        let list = |texts: Vec<String>| Some(texts).filter(|texts| !texts.is_empty());
        let expand = |texts: Vec<String>| texts.iter().map(|text| expanded(text, &variables)).collect();
        let memory = memory_mib.map(|mib| mib << 20);
        let host = HostConfig {
            memory,
            // The limit of memory and swap together: equal to that of memory, it disables swap.
            memory_swap: memory,
            cpu_period: Some(100_000),
            cpu_quota: mvcpu.map(|millis| millis * 100),
            ..HostConfig::default()
        };
        let labels = [("standin.state", services.state_id.clone()), ("standin.id", self.id.clone())];
        ContainerCreateBody {
            image: Some(image),
            entrypoint: list(expand(startup_command)),
            cmd: list(expand(args)),
            env: Some(variables.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }

    fn name(&self, services: &Services) -> String {
        format!("standin-{}-job-{}", services.state_id, self.id)
    }

    fn read_again(&self, services: &Services) -> Result<Self> {
        serde_json::from_slice(&fs_err::read(self.file(services))?).context("read the file of a job run")
    }

    fn save(&self, services: &Services) -> Result<()> {
        let file = self.file(services);
        let temporary = file.with_file_name(format!("new-{}.json", self.id));
        fs_err::write(&temporary, serde_json::to_string_pretty(self)?)?;
        Ok(fs_err::rename(&temporary, &file)?)
    }

    fn file(&self, services: &Services) -> std::path::PathBuf {
        services.state.join(format!("{FILES}{}.json", self.id))
    }
}

/// As Kubernetes, which runs the jobs of the platform: `$(NAME)` is replaced by a variable that there is, and `$$` by `$`.
fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_in_arguments() {
        let variables = BTreeMap::from([("A".to_owned(), "one".to_owned())]);
        for (text, becomes) in [
            ("$(A)-$(B)", "one-$(B)"),
            ("$$(A)", "$(A)"),
            ("$$$$(A)$A$", "$$(A)$A$"),
            ("$(A", "$(A"),
            ("plain", "plain"),
        ] {
            assert_eq!(expanded(text, &variables), becomes);
        }
    }
}
