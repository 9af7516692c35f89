//! What `secrets` runs.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{ApplyArgs, CheckArgs, PlanArgs, SecretsCommand, ValuesArg};
use crate::ci_secrets::apply::apply;
use crate::ci_secrets::{Entry, Plan, State, check, plan};
use crate::commands::Context;
use crate::confirm::confirmed;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Step;
use crate::secrets::Secrets;
use crate::tools::cmd::{Cmd, Inherited};

impl SecretsCommand {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Plan(args) => args.run(context).await,
            Self::Apply(args) => args.run(context).await,
            Self::Check(args) => args.run(context).await,
        }
    }
}

impl PlanArgs {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let (github, values) = (env.github().await?, self.values.read(&env).await?);
        let plan = plan(&env, &github, values).await?;
        let (missing, to_set) = (plan.missing().len(), plan.to_set().len());
        let last = match (missing, to_set) {
            (0, 0) => "nothing to set".to_owned(),
            (0, _) => format!("{to_set} to set; type: cargo xtask secrets apply {}", env.name()),
            _ => format!("{to_set} to set, {missing} missing: {}", help(&plan)),
        };
        env.report.result(result(&plan, &[]), &format!("{}\n{last}", table(&plan)));
        if missing + to_set > 0 { Err(Failure::Pending) } else { Ok(()) }
    }
}

impl ApplyArgs {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let (github, values) = (env.github().await?, self.values.read(&env).await?);
        let plan = plan(&env, &github, values).await?;
        let unused = plan.entries.iter().filter(|entry| entry.state == State::Unused).count();
        let (to_set, to_delete) = (plan.to_set().len(), if self.prune { unused } else { 0 });
        if to_set + to_delete == 0 && plan.missing().is_empty() {
            env.report.result(result(&plan, &[]), &format!("{}\nnothing to set", table(&plan)));
            return Ok(());
        }
        env.report.headline(&table(&plan));
        let question = format!("Set {to_set} and delete {to_delete} at {}?", github.repository());
        // What is missing is said instead of asking.
        let asks = plan.missing().is_empty() && !self.yes;
        if asks && !confirmed(&env.report, &env.stop, &question, "nothing was set").await? {
            let prune = if self.prune { " --prune" } else { "" };
            let command = format!("cargo xtask secrets apply {}{prune} --yes", env.name());
            return Err(Failure::Refused(anyhow!("nothing was set; to set them, type: {command}")));
        }
        let applied = async |step: &_| apply(&env, &github, &plan, self.prune, step).await.map(Applied);
        let Applied(done) = env.report.step(Step::Apply, applied).await?;
        let text = format!("set {} and deleted {}", done.len() - to_delete, to_delete);
        env.report.result(result(&plan, &done), &text);
        Ok(())
    }
}

impl CheckArgs {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let plan = check(&env, &env.github().await?).await?;
        let missing = plan.missing().len();
        let last = match missing {
            0 => "nothing is missing".to_owned(),
            _ => format!("{missing} missing; type: cargo xtask secrets apply {}", env.name()),
        };
        env.report.result(result(&plan, &[]), &format!("{}\n{last}", table(&plan)));
        if missing > 0 { Err(Failure::Pending) } else { Ok(()) }
    }
}

impl ValuesArg {
    /// What the command prints.
    async fn read(&self, env: &Env<'_>) -> Result<BTreeMap<String, SecretString>, Failure> {
        let Some(command) = &self.values_from else { return Ok(BTreeMap::new()) };
        // A store of secrets takes the caller's credentials.
        let command = Cmd::new("sh").args(["-c", command]).dir(env.root()).inherits(Inherited::All);
        let said = command.capture_whole().await.context("run the command of --values-from")?;
        let values = Secrets::parse(&said).context("read what the command of --values-from prints")?;
        env.report.redactor().learn(&values);
        Ok(values.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect())
    }
}

/// What was set.
struct Applied(Vec<Entry>);

impl crate::report::Summary for Applied {
    fn summary(&self) -> String {
        format!("{} secrets and variables", self.0.len())
    }
}

/// A line for each secret and variable, by place.
fn table(plan: &Plan) -> String {
    let width = plan.entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    let mut place = "";
    for entry in &plan.entries {
        if entry.place != place {
            place = &entry.place;
            lines.push(format!("{place} at GitHub"));
        }
        let mark = match entry.state {
            State::Set | State::Unknown | State::OfRepository => "✓",
            State::New | State::Stale | State::ChangedThere => "+",
            State::Missing => "✗",
            State::Optional => " ",
            State::Unused => "?",
        };
        lines.push(format!("  {mark} {:<width$}  {:<8}  {}", entry.name, entry.kind(), entry.state.words()));
    }
    lines.join("\n")
}

/// What each missing one is for.
fn help(plan: &Plan) -> String {
    let mut names: Vec<&str> = plan.missing().iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| format!("\n  {name}: {}", plan.help(name))).collect()
}

fn result(plan: &Plan, done: &[Entry]) -> Value {
    let entry = |entry: &Entry| json!({ "environment": entry.place, "name": entry.name, "kind": entry.kind(), "state": entry.state.words() });
    json!({
        "entries": plan.entries.iter().map(entry).collect::<Vec<_>>(),
        "done": done.iter().map(entry).collect::<Vec<_>>(),
        "missing": plan.missing().len(),
        "to_set": plan.to_set().len(),
    })
}
