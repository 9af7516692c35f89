//! The health gate: a release is up when it says so itself, in the expected version. A platform's word is not enough.

use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::clients::service::{Answer, Readiness};
use crate::failure::Failure;
use crate::report::{Ongoing, Summary};
use crate::targets::Candidate;

/// The first questions come quickly, for services that start quickly; then ever slower.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Asks a candidate until it is ready in the expected version. Fails when its process ends, or after `timeout`; the error has
/// the last answer and the end of the candidate's log.
pub async fn gate(
    candidate: &mut Candidate,
    version: &str,
    timeout: Duration,
    step: &Ongoing,
) -> Result<Readiness, Failure> {
    let began = Instant::now();
    let service = candidate.service();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let answer = tokio::select! {
            answer = service.ask() => answer,
            exit = candidate.exited() => return Err(anyhow!(exit).into()),
        };
        match answer {
            Answer::Ready(readiness) if readiness.version == version => return Ok(readiness),
            answer if began.elapsed() >= timeout => {
                let last = match answer {
                    Answer::Ready(other) => format!("version {} answers instead of {version}", other.version),
                    other => other.describe(),
                };
                let tail = candidate.give_up().await;
                let seconds = timeout.as_secs();
                return Err(anyhow!("it was not ready within {seconds} s; last answer: {last}\n{tail}").into());
            }
            answer => step.progress(&answer.describe()),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            exit = candidate.exited() => return Err(anyhow!(exit).into()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Summary for Readiness {
    fn summary(&self) -> String {
        match self.features_off().len() {
            0 => format!("{} is ready", self.version),
            1 => format!("{} is ready, 1 feature is off", self.version),
            off => format!("{} is ready, {off} features are off", self.version),
        }
    }
}
