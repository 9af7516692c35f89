//! `ci`: the rendered workflows, on this machine.

#[cfg(feature = "cloud")]
mod actions;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::ci::{self, Ended, Outcome, Request, Workflow};
use crate::failure::Failure;
use crate::tools::platform::variable;

/// `ci …`
#[derive(Subcommand, Debug)]
pub enum Ci {
    Run(RunArgs),
    /// Show which actions of the rendered workflows have a newer release; exits with 10 when one has
    #[command(after_help = "Examples:
  cargo xtask ci actions

The commits of the actions are in one table of the toolkit. Token: GH_TOKEN, else GITHUB_TOKEN, from the environment.")]
    Actions,
}

/// Run the steps of a rendered workflow that run the toolkit, in a clone of the last commit
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask ci run --list
  cargo xtask ci run ci check
  cargo xtask ci run deploy plan-production --event workflow_dispatch --input environment=production
  cargo xtask ci run ci test --all-steps      also the steps that do not run the toolkit, but no actions

The steps get the variables that the workflow names, with the values of .env.<ENV>, and nothing of your environment but how the \
network is reached and where programs are. Where the job may ask GitHub for an identity, an issuer on this machine answers.")]
pub struct RunArgs {
    /// ci, deploy, drift, rehearse or prune
    #[arg(required_unless_present = "list")]
    workflow: Option<String>,
    /// A job; by default those that the event starts
    job: Option<String>,
    /// List the workflows, their jobs and steps
    #[arg(long)]
    list: bool,
    /// The event that starts the workflow; by default the first one that starts the job
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Run the steps too that do not run the toolkit
    #[arg(long)]
    all_steps: bool,
    /// An input of a run by hand
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// A variable of your environment that the steps get too, such as the address of a stand-in
    #[arg(long = "env", value_name = "NAME")]
    variables: Vec<String>,
}

impl Ci {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Run(args) if args.list => list(context, args.workflow.as_deref()),
            Self::Run(args) => args.run(context).await,
            #[cfg(feature = "cloud")]
            Self::Actions => actions::run(context).await,
            #[cfg(not(feature = "cloud"))]
            Self::Actions => match super::cloud::become_full_build()? {},
        }
    }
}

impl RunArgs {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let Self { workflow, job, event, all_steps, inputs, variables, .. } = &self;
        let split = |input: &String| {
            let (name, value) = input.split_once('=').with_context(|| format!("--input {input} has no `=`"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        let inputs: anyhow::Result<BTreeMap<_, _>> = inputs.iter().map(split).collect();
        let given = |name: &String| {
            let value =
                variable(name).with_context(|| format!("--env {name}: your environment has no such variable"))?;
            Ok((name.to_owned(), value))
        };
        let variables: anyhow::Result<BTreeMap<_, _>> = variables.iter().map(given).collect();
        let request = Request {
            workflow: workflow.as_deref().unwrap_or_default(),
            job: job.as_deref(),
            event: event.as_deref(),
            all_steps: *all_steps,
            inputs: inputs.map_err(Failure::Usage)?,
            variables: variables.map_err(Failure::Usage)?,
        };
        let ended = ci::run(context.config, context.report, &request).await?;
        let jobs: Vec<_> = ended.iter().map(as_json).collect();
        context.report.result(json!({ "jobs": jobs }), &ended.iter().map(as_text).collect::<Vec<_>>().join("\n"));
        match ended.iter().find_map(|ended| Some((&ended.job, ended.failure()?))) {
            None => Ok(()),
            Some((job, (step, error))) => {
                Err(anyhow!("{error}").context(format!("the job {job} failed at: {step}")).into())
            }
        }
    }
}

fn list(context: &Context<'_>, only: Option<&str>) -> Result<(), Failure> {
    let (mut rows, mut text) = (Vec::new(), Vec::new());
    let workflows = Workflow::all(&context.config.root)?;
    for workflow in workflows.iter().filter(|workflow| only.is_none_or(|only| only == workflow.name)) {
        text.push(format!("{}   on {}", workflow.name, workflow.events().join(", ")));
        for job in workflow.jobs()? {
            let steps: Vec<&str> =
                job.steps.iter().filter(|step| step.runs_toolkit()).map(|step| step.title()).collect();
            let environment = job.environment().map(|name| format!("   ({name})")).unwrap_or_default();
            text.push(format!("  {}{environment}", job.id));
            text.extend(steps.iter().map(|step| format!("    {step}")));
            rows.push(
                json!({ "workflow": workflow.name, "job": job.id, "environment": job.environment(), "steps": steps }),
            );
        }
    }
    context.report.result(json!({ "jobs": rows }), &text.join("\n"));
    Ok(())
}

fn as_json(ended: &Ended) -> serde_json::Value {
    let step = |(title, outcome): &(String, Outcome)| match outcome {
        Outcome::Done => json!({ "step": title, "outcome": "done" }),
        Outcome::Failed(error) => json!({ "step": title, "outcome": "failed", "why": error }),
        Outcome::Skipped(why) => json!({ "step": title, "outcome": "skipped", "why": why }),
    };
    json!({ "job": ended.job, "steps": ended.steps.iter().map(step).collect::<Vec<_>>(), "outputs": ended.outputs })
}

fn as_text(ended: &Ended) -> String {
    let mut text = ended.job.clone();
    for (title, outcome) in &ended.steps {
        text.push_str(&match outcome {
            Outcome::Done => format!("\n  ✓ {title}"),
            Outcome::Failed(_) => format!("\n  ✗ {title}"),
            Outcome::Skipped(why) => format!("\n  - {title}: {why}"),
        });
    }
    for (name, value) in &ended.outputs {
        text.push_str(&format!("\n  {name}={value}"));
    }
    text
}
