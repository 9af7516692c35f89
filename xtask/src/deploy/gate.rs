//! The health gate: a release is up when it says so itself, in the expected version. A platform's word is not enough.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::clients::service::{Answer, Readiness};
use crate::env::Env;
use crate::release::Summary;
use crate::report::Ongoing;
use crate::targets::Applied;

/// The first questions come quickly, for services that start quickly; then ever slower.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Summary for Readiness {
    fn summary(&self) -> String {
        match self.features_off().len() {
            0 => format!("{} is ready", self.version),
            off => format!("{} is ready, {off} features are off", self.version),
        }
    }
}

/// Asks the release until it is ready in the expected version. Fails when its process ends, or when the time that deploy.yaml
/// allows is up; the error carries the last answer and the tail of the release's log.
pub async fn gate(env: &Env<'_>, applied: &mut Applied, version: &str, step: &Ongoing) -> Result<Readiness> {
    let (began, timeout) = (Instant::now(), env.place.gate_timeout());
    let service = applied.service.clone();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let answer = tokio::select! {
            answer = service.ask() => answer,
            exit = applied.exited() => bail!("{exit}"),
        };
        match answer {
            Answer::Ready(readiness) if readiness.version == version => return Ok(readiness),
            answer if began.elapsed() >= timeout => {
                let said = match answer {
                    Answer::Ready(other) => format!("version {} answers instead of {version}", other.version),
                    other => other.describe(),
                };
                let tail = applied.give_up().await;
                bail!("it was not ready within {} s; last answer: {said}\n{tail}", timeout.as_secs());
            }
            answer => step.progress(&answer.describe()),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            exit = applied.exited() => bail!("{exit}"),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
