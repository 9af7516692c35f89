//! The watch: a release that has taken over is looked at for a while, because many faults show only when people use it.

use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::asked::Asked;
use crate::clients::service::Service;
use crate::failure::Failure;
use crate::report::{Ongoing, Summary};
use crate::signals::Stop;
use crate::targets::condition::Condition;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// A watch that found nothing.
#[derive(Debug)]
pub struct Watched {
    time: Duration,
    /// What cut it short, if something did.
    pub cut: Option<String>,
}

/// Looks at a release for this time: whether every address answers, ready, in this version, and what its platform says. A question
/// without a good answer is asked again at once, because a lost packet is not a fall. A request to stop ends the watch.
pub async fn watch(
    services: &[Service],
    condition: impl AsyncFn() -> Condition,
    version: &str,
    time: Duration,
    asked: &Asked<'_>,
    step: &Ongoing,
    stop: &Stop,
) -> Result<Watched, Failure> {
    let began = Instant::now();
    loop {
        let looked = look(services, &condition, version, asked);
        let cut = tokio::select! {
            looked = looked => {
                looked?;
                None
            }
            signal = stop.requested() => Some(signal),
        };
        let (passed, whole) = (began.elapsed(), time.as_secs());
        if cut.is_none() && passed >= time {
            return Ok(Watched { time, cut: None });
        }
        let text = format!("{} of {whole} s", passed.as_secs());
        step.progress(&format!("watching, {text}"));
        let cut = match cut {
            Some(signal) => Some(signal),
            None => tokio::select! {
                () = tokio::time::sleep(PAUSE.min(time.saturating_sub(passed))) => None,
                signal = stop.requested() => Some(signal),
            },
        };
        if let Some(signal) = cut {
            let cut = Some(format!("the watch was cut short by {signal} after {text}"));
            return Ok(Watched { time, cut });
        }
    }
}

async fn look(
    services: &[Service],
    condition: &impl AsyncFn() -> Condition,
    version: &str,
    asked: &Asked<'_>,
) -> Result<(), Failure> {
    let condition = condition().await;
    asked.note_condition(&condition);
    if let Condition::Error(_) = condition {
        return Err(anyhow!("{version} was ready, and then {}", condition.describe()).into());
    }
    for service in services {
        for again in [false, true] {
            let answer = service.ask().await;
            let what = format!("{}: {}", service.url(), answer.describe());
            asked.note(&what);
            if answer.is_ready_as(version) {
                break;
            }
            if again {
                return Err(anyhow!(
                    "{version} was ready, and is not any more; {what} (asked twice); {}",
                    condition.describe()
                )
                .into());
            }
        }
    }
    Ok(())
}

impl Summary for Watched {
    fn summary(&self) -> String {
        match &self.cut {
            Some(cut) => cut.clone(),
            None => format!("ready for {} s", self.time.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests;
