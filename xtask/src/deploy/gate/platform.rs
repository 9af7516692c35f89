//! The gate of a release that a platform runs. Both are asked side by side: the platform may know why the service does not answer.

use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

use super::{Breach, expected};
use crate::clients::service::{Answer, Readiness, Service};
use crate::config::Gate;
use crate::deploy::asked::Asked;
use crate::report::Ongoing;
use crate::targets::condition::Condition;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The platform counts requests.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Ready answers in a row. While a platform replaces a container, requests reach the old one and the new one in turn.
const IN_A_ROW: u32 = 3;

/// Asks until the service is ready in the expected version, three times in a row, and the platform does not say otherwise. A cold
/// start is no failure: slow answers and errors of the platform's gateway are asked again. Fails at once when the platform says
/// `error`; when neither its status nor the kind of the answers has changed for `no_progress`; and after `timeout`.
pub(super) async fn ready(
    service: &Service,
    condition: impl AsyncFn() -> Condition,
    version: &str,
    limits: &Gate,
    asked: &Asked<'_>,
    step: &Ongoing,
) -> Result<Readiness, Error> {
    let (began, mut moved) = (Instant::now(), Instant::now());
    let (mut last, mut in_a_row, mut pause) = (None, 0, SHORTEST_PAUSE);
    loop {
        let (condition, answer) = tokio::join!(condition(), service.ask());
        asked.note_condition(&condition);
        asked.note(&answer.describe());
        let both = format!("{}; the service: {}", condition.describe(), answer.describe());
        if let Condition::Error(_) = condition {
            return Err(anyhow!(both));
        }
        let is_up = matches!(condition, Condition::Ready | Condition::NotAsked(_));
        match answer {
            Answer::Ready(ref readiness) if readiness.version == version && is_up => {
                in_a_row += 1;
                if in_a_row == IN_A_ROW {
                    return Ok(readiness.clone());
                }
                pause = SHORTEST_PAUSE;
            }
            _ => in_a_row = 0,
        }
        let now = Some((condition, answer.kind()));
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        let (timeout, no_progress) = (limits.timeout, limits.no_progress);
        let over = if began.elapsed() >= timeout {
            Some(format!("not ready within {} s", timeout.as_secs()))
        } else {
            (moved.elapsed() >= no_progress)
                .then(|| format!("nothing has moved for {} s (`gate.no_progress`)", no_progress.as_secs()))
        };
        if let Some(why) = over {
            return Err(not_ready(&why, &both, &answer, version));
        }
        step.progress(&both);
        tokio::time::sleep(pause).await;
        if in_a_row == 0 {
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The error of a release that answered like this at the end.
fn not_ready(why: &str, both: &str, answer: &Answer, version: &str) -> Error {
    match answer {
        Answer::Ready(other) if other.version != version => anyhow!(
            "{why}: {both}, instead of {version}: either an older container still answers, or the service does not answer with the \
             version that its environment names (`supplied_by: version` in its settings)"
        ),
        Answer::NotUnderstood { success: true, .. } => Breach(format!("{why}: {both}; {}", expected(version))).into(),
        _ => anyhow!("{why}: {both}"),
    }
}

#[cfg(test)]
mod tests;
