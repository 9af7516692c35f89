//! The chapter that deploys as CI does: no terminal, and no file of secrets in the folder where the toolkit runs.

use anyhow::{Context as _, Result, ensure};
use devservers::GitHub;
use secrecy::{ExposeSecret as _, SecretString};
use xtask::ci::Workflow;
use xtask::config;
use xtask::failure::Failure;
use xtask::render::{Schema, render};

use super::Stage;

/// What the deploy workflow allows the token of its jobs.
const PERMISSIONS: [&str; 6] =
    ["contents:read", "actions:read", "attestations:read", "checks:read", "deployments:write", "statuses:read"];

impl Stage<'_> {
    /// Chapter: the first deploy as CI does it. The jobs of the project's own deploy workflow, where deploy.yaml has GitHub deploy
    /// this environment, else the commands that such a workflow runs.
    pub async fn deploy_in_ci(&self) -> Result<Vec<String>> {
        let workflow = self.render_workflows().await?;
        // First, because it makes a plan, too, and the newest one is kept.
        let refused = self.run_in_ci(&["deploy", &self.environment.name]).await?.expect(&[21])?.reason();
        let mut proof = match &workflow {
            Some(repository) => self.deploy_by_workflow(repository).await?,
            None => self.deploy_by_commands().await?,
        };
        proof.insert(0, self.serves(&self.version().await?).await?);
        proof.push(format!("without an approval it was refused: {refused}"));
        Ok(proof)
    }

    /// Renders the clone's workflows again, for the servers in its deploy.yaml, and commits them. Returns the repository at GitHub;
    /// none where no job of a workflow deploys this environment.
    async fn render_workflows(&self) -> Result<Option<String>> {
        let (clone, mut changed) = (self.clone()?, false);
        let config = clone.config()?;
        let Some(repository) = config.github.as_ref().and_then(|github| github.repository.clone()) else {
            return Ok(None);
        };
        for file in render(&config, Schema::Built).await?.files.iter().filter(|file| !file.is_fresh()) {
            file.write(&config)?;
            changed = true;
        }
        if changed {
            clone.commit("Workflows for the servers of this machine").await?;
        }
        let deploys = config::Workflow::Deploy.name();
        let workflows = Workflow::all(&clone.root).map_err(Failure::into_error)?;
        let jobs = workflows.iter().find(|workflow| workflow.name == deploys).map(Workflow::jobs).transpose()?;
        let own = format!("deploy-{}", self.environment.name);
        Ok(jobs.unwrap_or_default().iter().any(|job| job.id == own).then_some(repository))
    }

    /// The jobs of the rendered workflow. GitHub is a stand-in, so that nothing leaves this machine.
    async fn deploy_by_workflow(&self, repository: &str) -> Result<Vec<String>> {
        let (name, commit) = (&self.environment.name, self.clone()?.commit_digits().await?);
        let github = GitHub::start();
        let (owner, project) = repository.split_once('/').context("a repository is owner/name")?;
        let at_github = github.repository(owner, project);
        at_github.read(self.clone()?.root.as_std_path())?;
        let token = SecretString::from(github.workflow_token(&PERMISSIONS));
        self.write_env_file(&[("GITHUB_TOKEN", token)])?;
        let mut variables = self.variables();
        let handed: Vec<String> = variables.iter().map(|(name, _)| format!("--env={name}")).collect();
        variables.push(("GITHUB_API_URL".to_owned(), github.url()));
        let (job, input) = (format!("deploy-{name}"), format!("--input=environment={name}"));
        let version = format!("--input=version={commit}");
        let mut args = vec!["ci", "run", "deploy", &job, "--event=workflow_dispatch", &input, &version];
        args.extend(handed.iter().map(String::as_str));
        let ran = self.toolkit.start(&args, &variables)?.end().await?.expect(&[0])?;
        self.write_env_file(&[])?;

        let jobs = ran.result("jobs")?.as_array().cloned().unwrap_or_default();
        let jobs: Vec<&str> = jobs.iter().filter_map(|job| job["job"].as_str()).collect();
        ensure!(jobs.contains(&job.as_str()), "the job {job} did not run; these did: {}", jobs.join(", "));
        let wrong = github.take_violations();
        ensure!(wrong.is_empty(), "requests do not fit GitHub's API: {}", wrong.join("; "));
        let deployments = at_github.deployments();
        let states: Vec<String> = deployments.iter().map(|(_, states)| states.join(", ")).collect();
        ensure!(states == ["in_progress, success"], "GitHub was told of the deployment: {}", states.join("; "));
        Ok(vec![
            format!("jobs of .github/workflows/deploy.yml, run here: {}", jobs.join(", ")),
            format!("a stand-in of GitHub shows one deployment: {}", states.join("; ")),
        ])
    }

    async fn deploy_by_commands(&self) -> Result<Vec<String>> {
        let name = &self.environment.name;
        let planned = self.run_in_ci(&["deploy", name, "--plan-only"]).await?.expect(&[10])?;
        self.run_in_ci(&["deploy", name, "--approve", planned.text("approval")?]).await?.expect(&[0])?;
        Ok(vec!["no workflow of deploy.yaml deploys it: the commands were run as one would run them".to_owned()])
    }

    /// A command with the secrets in the environment instead of a file.
    async fn run_in_ci(&self, args: &[&str]) -> Result<crate::toolkit::Ran> {
        fs_err::remove_file(self.clone()?.root.join(format!(".env.{}", self.environment.name)))?;
        let secrets = self.secrets();
        let of_file = secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()));
        let variables: Vec<_> =
            self.variables().into_iter().chain(of_file).chain([("CI".to_owned(), "true".to_owned())]).collect();
        let ran = self.toolkit.start(args, &variables)?.end().await;
        self.write_env_file(&[])?;
        ran
    }
}
