//! What operates on a release that is there: status, history, logs, stop, lock.

use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8Path;
use jiff::Timestamp;
use serde_json::json;

use crate::clients::service::Answer;
use crate::confirm::confirmed;
use crate::deploy::run::Run;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::{Audience, seconds};
use crate::state::history::{self, Kind, Outcome, Record};
use crate::state::journal::{Found, Journal};
use crate::state::lease;

/// Shows what serves, since when, and how it is.
pub async fn status(env: &Env<'_>) -> Result<(), Failure> {
    let (supervisor, live) = tokio::try_join!(env.place.status(), env.place.live())?;
    let records = history::read_all(&env.store).await?;
    let record = live.as_ref().and_then(|live| records.iter().rfind(|record| record.id == live.id));
    let answer = match &live {
        Some(live) => Some(live.service.ask().await),
        None => None,
    };
    let ready = live.as_ref().zip(answer.as_ref()).is_some_and(|(live, answer)| answer.is_ready_as(&live.version));
    let holder = lease::status(&env.store).await?;
    let unfinished = if holder.is_none() { cut_short(env, &records).await? } else { None };
    let paint = env.report.paint();

    let mut text = String::new();
    let mut row = |label: &str, value: &str| text.push_str(&format!("  {label:<9} {value}\n"));
    match (&live, &answer) {
        (Some(live), Some(answer)) => {
            let health = if ready { paint.green("ready") } else { paint.red(&answer.describe()) };
            row("serves", &format!("{}   {}   {health}", live.version, live.address));
            if !ready {
                row("mend", &format!("cargo xtask deploy {}     (starts again what is down)", env.name));
            }
        }
        _ => row("serves", &format!("nothing; type: cargo xtask deploy {}", env.name)),
    }
    if let Some(record) = record {
        let subject = record.source.as_ref().map(|source| source.subject.as_str()).unwrap_or_default();
        row("deployed", &format!("{} by {}   {subject}", record.ended.strftime("%Y-%m-%d %H:%M:%SZ"), record.who));
    }
    for instance in supervisor.iter().flat_map(|status| &status.instances) {
        let pid = instance.pid.map_or_else(|| "no process".to_owned(), |pid| format!("process {pid}"));
        let restarts =
            if instance.restarts == 0 { String::new() } else { format!(", restarted {} times", instance.restarts) };
        let role = format!("{:?}", instance.role).to_lowercase();
        let up = Timestamp::now().duration_since(instance.since).unsigned_abs();
        row("process", &format!("{} {role}, {pid}, for {}{restarts}", instance.version, seconds(up)));
    }
    if let Some(holder) = &holder {
        row("locked", &format!("by {} since {}: {}", holder.who, holder.since.strftime("%H:%M:%SZ"), holder.message));
    }
    match unfinished {
        Some(Kind::Deploy) => row("cut short", &format!("a deploy; type: cargo xtask deploy {} --resume", env.name)),
        Some(Kind::Rollback) => row("cut short", &format!("a rollback; type: cargo xtask rollback {}", env.name)),
        None => {}
    }
    let detail = json!({
        "environment": env.name,
        "version": live.as_ref().map(|live| &live.version),
        "address": live.as_ref().map(|live| &live.address),
        "ready": ready,
        "health": answer.as_ref().map(Answer::describe),
        "record": record,
        "supervisor": supervisor,
        "locked_by": holder,
        "unfinished": unfinished.is_some(),
    });
    env.report.result(detail, text.trim_end());
    Ok(())
}

/// What was cut short and can be gone on with. One that was found unhealthy was not cut short.
async fn cut_short(env: &Env<'_>, records: &[Record]) -> Result<Option<Kind>> {
    let journal = Journal::find(&env.store, env.name).await?;
    let Found::Unfinished(journal) = journal else { return Ok(None) };
    let ended = records.iter().find(|record| record.id == journal.deploy()).map(|record| record.outcome);
    Ok(matches!(ended, None | Some(Outcome::Aborted | Outcome::Failed)).then_some(journal.kind()))
}

/// Lists deploys and rollbacks, newest first.
pub async fn history(env: &Env<'_>, lines: usize) -> Result<(), Failure> {
    let records = history::read_all(&env.store).await?;
    if records.is_empty() {
        env.report.note(&format!("nothing was deployed to {} yet; type: cargo xtask deploy {}", env.name, env.name));
    }
    let serving = records.iter().rfind(|record| record.outcome == Outcome::Live).map(|record| &record.id);
    for record in records.iter().rev().take(lines) {
        let detail = serde_json::to_value(record).context("write the record as JSON")?;
        env.report.result(detail, &history_line(record, serving == Some(&record.id)));
    }
    Ok(())
}

/// Shows the end of the service's log, and with `follow` what comes, until Ctrl-C.
pub async fn logs(env: &Env<'_>, lines: usize, follow: bool) -> Result<(), Failure> {
    let path = env.place.log();
    if !path.exists() {
        return Err(anyhow!("there is no log yet at {path}; type: cargo xtask deploy {}", env.name).into());
    }
    for line in tail(&path, lines)? {
        env.report.result(json!({ "line": line }), &line);
    }
    if !follow {
        return Ok(());
    }
    let mut file = open(&path)?;
    file.seek(SeekFrom::End(0)).context("go to the log's end")?;
    let mut line = String::new();
    loop {
        match file.read_line(&mut line).with_context(|| format!("read {path}"))? {
            0 => {
                // A poll: log files tell nobody that they grew. A file that is shorter than what was read is a new one.
                let length = fs_err::metadata(&path).map_or(0, |data| data.len());
                if file.stream_position().context("tell the place in the log")? > length {
                    file = open(&path)?;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            _ if !line.ends_with('\n') => {}
            _ => {
                env.report.result(json!({ "line": line.trim_end() }), line.trim_end());
                line.clear();
            }
        }
    }
}

/// Stops the service and its database.
pub async fn stop(env: &Env<'_>) -> Result<(), Failure> {
    let lease = Run::lease(env, format!("stop {}", env.name)).await?; // Locked → 20
    // A browser that keeps its connection is waited for, too: ten silent seconds would look like a hang.
    if matches!(env.place.status().await, Ok(Some(_))) {
        env.report.note("stopping: what is under way is finished first, which can take seconds");
    }
    let stopped = env.place.stop().await;
    lease.release().await?;
    let stopped = stopped?;
    let text =
        if stopped.is_empty() { "nothing was running".to_owned() } else { format!("stopped: {}", stopped.join(", ")) };
    env.report.result(json!({ "stopped": stopped }), &text);
    Ok(())
}

/// Shows who deploys now.
pub async fn lock_status(env: &Env<'_>) -> Result<(), Failure> {
    let holder = lease::status(&env.store).await?;
    let text = match &holder {
        None => format!("{} is free", env.name),
        Some(holder) => format!(
            "{} is held by {} since {}, renewed {}: {} (toolkit {}, process {})",
            env.name, holder.who, holder.since, holder.renewed, holder.message, holder.version, holder.process.pid
        ),
    };
    env.report.result(json!({ "environment": env.name, "locked_by": holder }), &text);
    Ok(())
}

/// Takes the lease away from its holder.
pub async fn lock_break(env: &Env<'_>, yes: bool, audience: Audience) -> Result<(), Failure> {
    let Some(holder) = lease::status(&env.store).await? else {
        env.report.result(json!({ "broken": null }), &format!("{} is free; nothing to break", env.name));
        return Ok(());
    };
    let (who, name) = (&holder.who, env.name);
    let question = format!("Break the lease of {who} on {name}? Their deploy will stop at its next step.");
    if !yes && (audience != Audience::Terminal || !confirmed(&question, "nothing was broken").await?) {
        return Err(Failure::Refused(anyhow!("not broken; type: cargo xtask lock break {} --yes", env.name)));
    }
    let broken = lease::break_lease(&env.store).await?;
    env.report.result(json!({ "broken": broken }), &format!("the lease of {} was broken", holder.who));
    Ok(())
}

fn open(path: &Utf8Path) -> Result<BufReader<fs_err::File>> {
    Ok(BufReader::new(fs_err::File::open(path)?))
}

fn history_line(record: &Record, serves: bool) -> String {
    let took = record.ended.duration_since(record.started).unsigned_abs();
    let kind = if record.kind == Kind::Rollback { " ⇠" } else { "" };
    let outcome = if serves { "serves" } else { record.outcome.words() };
    let why = record.error.as_ref().and_then(|error| error.lines().next()).unwrap_or_default();
    let subject = record.source.as_ref().map(|source| source.subject.as_str()).unwrap_or_default();
    let about = if why.is_empty() { subject } else { why };
    let when = record.ended.strftime("%Y-%m-%d %H:%M:%SZ");
    format!("{when}  {:<32} {outcome:<12} {:>9}  {about}", format!("{}{kind}", record.version()), seconds(took))
}

/// The last lines of a file that may be large.
fn tail(path: &Utf8Path, lines: usize) -> Result<Vec<String>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    const ENOUGH_PER_LINE: u64 = 4096;
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    let wanted = (lines as u64).saturating_mul(ENOUGH_PER_LINE).min(length);
    file.seek(SeekFrom::Start(length - wanted))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect())
}
