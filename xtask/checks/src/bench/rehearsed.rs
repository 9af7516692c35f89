//! What the deploys of a rehearsal cost, as its account tells it. Once: a rehearsal takes minutes.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::scratch::Scratch;
use super::table::{Goal, Row};
use super::turns::Turns;
use xtask::report::Report;

/// Steps that the toolkit takes by itself. The others wait for programs, or for a time that deploy.yaml says.
const OWN: [&str; 4] = ["preflight", "source", "provision", "record"];

/// The chapter in which a release is deployed, and then deployed again.
const DEPLOY: &str = "deploy";

#[derive(Deserialize)]
struct Event {
    state: String,
    detail: serde_json::Value,
}

#[derive(Deserialize)]
struct Account {
    chapters: Vec<Chapter>,
}

#[derive(Deserialize)]
struct Chapter {
    name: String,
    steps: Vec<StepTime>,
}

#[derive(Clone, Debug, Deserialize)]
struct StepTime {
    name: String,
    began: f64,
    seconds: f64,
    outcome: String,
}

/// A warm rehearsal with a release that is never ready: all of it, and of its deploys one, one with nothing to do, and the way back.
pub async fn rehearsal(scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>> {
    report.detail("rehearsing once without measuring, which compiles and downloads");
    rehearse(scratch, report).await?;
    let (took, account) = rehearse(scratch, report).await?;
    let steps: Vec<&StepTime> = account.chapters.iter().flat_map(|chapter| &chapter.steps).collect();
    let whole = row(
        "a warm rehearsal, against the steps of its commands",
        took,
        sum(steps.iter().copied()),
        Goal::Within(Duration::from_secs(180)),
    );
    let chapter = account.chapters.iter().find(|chapter| chapter.name == DEPLOY);
    let runs = runs(&chapter.context("the account tells of a deploy")?.steps);
    let applied = runs.iter().find(|run| run.iter().any(|step| step.name == "apply")).context("one is applied")?;
    let unchanged = runs.last().filter(|run| run.iter().all(|step| step.name != "apply"));
    let unchanged = unchanged.context("the last deploy has nothing to do")?;
    let programs = |run: &[StepTime]| sum(run.iter().filter(|step| !OWN.contains(&&*step.name)));
    let deploy = row(
        "a deploy to a stack, against the steps in it that are programs'",
        wall(applied),
        programs(applied),
        Goal::Times(1.03),
    );
    let no_op = row(
        "a deploy to a stack that has nothing to do, against its step `plan`",
        wall(unchanged),
        sum(unchanged.iter().filter(|step| step.name == "plan")),
        Goal::Beside(Duration::from_secs(2)),
    );
    let mut rows = vec![("rehearsal", whole), ("stack-deploy", deploy), ("stack-no-op", no_op)];
    let restored = account.chapters.iter().find_map(|chapter| restored(&chapter.steps));
    let (took, steps) = restored.context("the account tells of a release that was restored")?;
    let what = "from the verdict on a bad release to the record that the old one serves, against the steps between";
    rows.push(("stack-restore", row(what, took, steps, Goal::Within(Duration::from_secs(10)))));
    Ok(rows.into_iter().map(|(name, row)| (name.to_owned(), row)).collect())
}

async fn rehearse(scratch: &Scratch, report: &Report) -> Result<(Duration, Account)> {
    let (began, account) = (Instant::now(), RefCell::new(None));
    let command = scratch.toolkit_of_the_project().args(["rehearse", "--break", "health", "--json"]);
    command
        .run_lines_if(|line| {
            let Ok(event) = serde_json::from_str::<Event>(line) else { return true };
            match event.state.as_str() {
                "result" => *account.borrow_mut() = Some(event.detail["account"].clone()),
                "note" => report.detail(event.detail["text"].as_str().unwrap_or_default()),
                _ => {}
            }
            false
        })
        .await?;
    let account = account.into_inner().context("the rehearsal gives no account")?;
    Ok((began.elapsed(), serde_json::from_value(account).context("read the rehearsal's account")?))
}

/// The steps of each command.
fn runs(steps: &[StepTime]) -> Vec<&[StepTime]> {
    steps.chunk_by(|_, next| next.name != "preflight").collect()
}

/// From the end of the step that failed to the record, and what the steps between took.
fn restored(steps: &[StepTime]) -> Option<(Duration, Duration)> {
    let failed = steps.iter().position(|step| step.outcome == "failed")?;
    let after = &steps[failed + 1..];
    let record = after.iter().position(|step| step.name == "record")?;
    let verdict = steps[failed].began + steps[failed].seconds;
    Some((Duration::from_secs_f64((after[record].began - verdict).max(0.0)), sum(&after[..record])))
}

fn wall(run: &[StepTime]) -> Duration {
    let began = run.first().map_or(0.0, |step| step.began);
    let ended = run.iter().map(|step| step.began + step.seconds).fold(began, f64::max);
    Duration::from_secs_f64(ended - began)
}

fn sum<'s>(steps: impl IntoIterator<Item = &'s StepTime>) -> Duration {
    Duration::from_secs_f64(steps.into_iter().map(|step| step.seconds).sum())
}

fn row(what: &str, measured: Duration, reference: Duration, goal: Goal) -> Row {
    Row { what: what.to_owned(), turns: Turns::once(measured, reference), goals: vec![goal], notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, began: f64, seconds: f64, outcome: &str) -> StepTime {
        StepTime { name: name.to_owned(), began, seconds, outcome: outcome.to_owned() }
    }

    #[test]
    fn commands_and_the_way_back_are_found_among_the_steps() {
        let steps = [
            step("preflight", 0.0, 1.0, "done"),
            step("apply", 1.0, 2.0, "failed"),
            step("plan", 3.5, 1.0, "done"),
            step("apply", 4.5, 2.0, "done"),
            step("record", 7.0, 0.5, "done"),
            step("preflight", 8.0, 1.0, "done"),
            step("plan", 9.5, 1.0, "done"),
        ];
        let runs = runs(&steps);
        assert_eq!(runs.iter().map(|run| run.len()).collect::<Vec<_>>(), [5, 2]);
        assert_eq!(wall(runs[1]), Duration::from_millis(2500));
        assert_eq!(restored(&steps), Some((Duration::from_secs(4), Duration::from_secs(3))));
        assert_eq!(restored(runs[1]), None);
    }
}
