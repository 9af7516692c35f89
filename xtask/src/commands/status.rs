//! `status`

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::clients::service::Answer;
use crate::deploy::rescue::rescue;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::seconds;
use crate::state::history::{self, Kind, Outcome, Record};
use crate::state::journal::{Found, Journal};
use crate::state::lease;
use crate::supervisor::Role;
use crate::targets::Target;
use crate::targets::condition::Condition;
use crate::typed::as_typed;

/// Show the release that serves, since when, and its health
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask status
  cargo xtask status local --json

Exits with 31 when a release should serve and none is ready, and names the command that helps.")]
pub struct StatusArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl StatusArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let (target, name, store) = (Target::of(env), env.name(), env.store()?);
        let supervisor = match &target {
            Target::Local(local) => local.status().await?,
            Target::Stack(_) | Target::Host(_) | Target::Easypanel(_) => None,
        };
        // Of several Docker hosts: what each has.
        let (live, hosts) = match &target {
            Target::Host(fleet) if fleet.has_several() => (fleet.serving_on_first().await?, fleet.seen().await),
            _ => (target.serving().await?, Vec::new()),
        };
        let newest = history::live(store).await?;
        let should_serve = newest.is_some();
        let record = match &live {
            Some(live) if newest.as_ref().is_some_and(|newest| newest.id == live.id) => newest,
            Some(live) => history::with_id(store, &live.id).await?,
            None => None,
        };
        // Of a stack: what its platform says of the container that the record names.
        let platform = match (&target, &record) {
            (Target::Stack(stack), Some(record)) => Some(stack.seen(record).await),
            _ => None,
        };
        // Of an Easypanel: what it says of the containers of all services.
        let panel = match (&target, &record) {
            (Target::Easypanel(panel), Some(record)) => Some(Box::pin(panel.seen(record)).await),
            _ => None,
        };
        let answer = match &live {
            Some(live) => Some(live.service.ask().await),
            None => None,
        };
        let ready = live.as_ref().zip(answer.as_ref()).is_some_and(|(live, answer)| answer.is_ready_as(&live.version));
        let is_everywhere =
            |version: &str| hosts.iter().all(|seen| seen.ready && seen.version.as_deref() == Some(version));
        let ready = ready && live.as_ref().is_some_and(|live| is_everywhere(&live.version));
        let holder = lease::status(store).await?;
        let unfinished = if holder.is_none() { unfinished(env).await? } else { None };
        let paint = env.report.paint();

        let mut text = String::new();
        let mut row = |label: &str, value: &str| text.push_str(&format!("  {label:<11} {value}\n"));
        match (&live, &answer) {
            (Some(live), Some(answer)) => {
                let health = match (ready, hosts.is_empty()) {
                    (true, _) => paint.green("ready"),
                    (false, true) => paint.red(&answer.describe()),
                    (false, false) => paint.red("not on all hosts"),
                };
                row("serves", &format!("{}   {}   {health}", live.version, live.address));
            }
            _ if should_serve => row("serves", &paint.red("nothing")),
            _ => row("serves", &as_typed(&format!("nothing yet; type: cargo xtask deploy {name}"))),
        }
        for seen in &hosts {
            let health = if seen.ready { paint.green(&seen.health) } else { paint.red(&seen.health) };
            row("host", &format!("{}   {}   {health}", seen.host, seen.version.as_deref().unwrap_or("-")));
        }
        if let Some(platform) = &platform {
            row("platform", &platform.describe());
        }
        if let Some(condition) = &panel {
            row("panel", &condition.describe());
        }
        let mut differs = platform.iter().flat_map(|platform| platform.differs().to_vec()).collect::<Vec<_>>();
        differs.extend(panel.iter().filter_map(|condition| match condition {
            Condition::Ready | Condition::NotAsked(_) => None,
            Condition::Other(_) | Condition::Error(_) => Some(condition.describe()),
        }));
        if let (Some(live), Some(Answer::Ready(readiness))) = (&live, &answer)
            && readiness.version != live.version
        {
            differs.push(format!(
                "the service says that it is {}, and the record says {}",
                readiness.version, live.version
            ));
        }
        for differs in &differs {
            row("differs", &paint.red(differs));
        }
        let fix = if should_serve && !ready {
            // One that says why it is not ready runs: it lacks something that a deploy starts.
            let silent = matches!(answer, Some(Answer::Unreachable(_)));
            let mut instances = supervisor.iter().flat_map(|status| &status.instances).filter(|_| silent);
            let crashes = instances.find(|instance| instance.role == Role::Restarting || instance.restarts > 0);
            let records = history::recent(store).await?;
            let last = records.iter().rfind(|record| record.outcome == Outcome::Live);
            let fix = match last {
                Some(last) if live.is_some() && !hosts.is_empty() => {
                    format!(
                        "cargo xtask rollback {name} --to {}     (on all hosts, once each can be asked)",
                        last.version()
                    )
                }
                _ => rescue(env, &target, &records, crashes.map(|instance| instance.version.as_str())).await?,
            };
            row("fix", &as_typed(&fix));
            Some(fix)
        } else {
            None
        };
        if let Some(record) = &record {
            let subject = record.source.as_ref().map(|source| source.subject.as_str()).unwrap_or_default();
            let label = if record.kind == Kind::Rollback { "rolled back" } else { "deployed" };
            row(label, &format!("{} by {}   {subject}", record.ended.strftime("%Y-%m-%d %H:%M:%SZ"), record.who));
        }
        for instance in supervisor.iter().flat_map(|status| &status.instances) {
            let pid = instance.pid.map_or_else(|| "no process".to_owned(), |pid| format!("process {pid}"));
            let restarts = match instance.restarts {
                0 => String::new(),
                1 => ", restarted once".to_owned(),
                more => format!(", restarted {more} times"),
            };
            let role = format!("{:?}", instance.role).to_lowercase();
            let up = Timestamp::now().duration_since(instance.since).unsigned_abs();
            row("process", &format!("{} {role}, {pid}, for {}{restarts}", instance.version, seconds(up)));
        }
        if let Some(holder) = &holder {
            row(
                "locked",
                &format!("by {} since {}: {}", holder.who, holder.since.strftime("%H:%M:%SZ"), holder.message),
            );
        }
        match unfinished.as_ref().map(|(kind, failed)| (*kind, failed)) {
            Some((_, Some(error))) => {
                row(
                    "failed",
                    &as_typed(&format!("the last run: {error}; when that is fixed, type: cargo xtask deploy {name}")),
                );
            }
            Some((Kind::Deploy, None)) => {
                row("interrupted", &as_typed(&format!("a deploy; type: cargo xtask deploy {name} --resume")))
            }
            Some((Kind::Rollback, None)) => {
                row("interrupted", &as_typed(&format!("a rollback; type: cargo xtask rollback {name}")))
            }
            None => {}
        }
        let detail = json!({
            "environment": name,
            "version": live.as_ref().map(|live| &live.version),
            "address": live.as_ref().map(|live| &live.address),
            "ready": ready,
            "health": answer.as_ref().map(Answer::describe),
            "record": record,
            "supervisor": supervisor,
            "platform": platform,
            "hosts": hosts,
            "differs": differs,
            "locked_by": holder,
            "unfinished": unfinished.is_some(),
            "fix": fix,
        });
        env.report.excerpt(detail, text.trim_end());
        match fix {
            None => Ok(()),
            Some(fix) => {
                let down = live.map_or_else(
                    || format!("no release of {name} runs"),
                    |live| format!("{} at {} is not ready", live.version, live.address),
                );
                Err(Failure::NotRestored(anyhow!("{down}\n  → {fix}")))
            }
        }
    }
}

/// The kind of a run that can be continued, and the first line of its error if it failed by itself. A run whose release was
/// unhealthy has ended.
async fn unfinished(env: &Env<'_>) -> Result<Option<(Kind, Option<String>)>, Failure> {
    let store = env.store()?;
    let journal = Journal::find(store, env.name()).await?;
    let Found::Unfinished(journal) = journal else { return Ok(None) };
    let kind = journal.kind();
    Ok(match history::with_id(store, journal.deploy()).await? {
        Some(Record { outcome: Outcome::Failed, error, .. }) => {
            let first = error.as_deref().and_then(|error| error.lines().next()).unwrap_or("it failed");
            let what = first.split(';').next().unwrap_or(first);
            Some((kind, Some(what.to_owned())))
        }
        None | Some(Record { outcome: Outcome::Aborted, .. }) => Some((kind, None)),
        Some(_) => None,
    })
}
