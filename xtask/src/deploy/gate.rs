//! The health gate: a release is up when it says so itself, in the expected version. A platform's word is not enough.

mod platform;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

use super::asked::Asked;
use crate::clients::service::{Answer, Readiness};
use crate::config::Gate;
use crate::failure::Failure;
use crate::report::{Ongoing, Summary};
use crate::targets::local::Ears;
use crate::targets::{Candidate, Started};

/// The first questions come quickly, for services that start quickly; then ever slower.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The service breaks its contract with the toolkit. The same source would break it again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Breach(String);

/// Asks a candidate until it is ready in the expected version. The error has the last answer and the end of the candidate's log. It
/// is a [`Breach`] where the service does not keep the contract. `asked` gets every answer.
pub async fn gate(
    candidate: &mut Candidate,
    version: &str,
    limits: &Gate,
    asked: &Asked<'_>,
    step: &Ongoing,
) -> Result<Readiness, Failure> {
    let ready = match candidate {
        Candidate::Local(_) | Candidate::Host(_) | Candidate::Trial(_) => {
            return until_ready(candidate, version, limits, asked, step).await;
        }
        Candidate::Easypanel(panel) => {
            let condition = async || panel.condition().await;
            platform::ready(&panel.service, condition, version, limits, asked, step).await
        }
        Candidate::Stack(stack) => {
            let condition = async || stack.platform.condition().await;
            platform::ready(&stack.service, condition, version, limits, asked, step).await
        }
    };
    match ready {
        Ok(readiness) => Ok(readiness),
        Err(error) => Err(give_up(candidate, error).await),
    }
}

/// The same, for a candidate that no platform starts again: the end of its process is the end of it.
pub async fn until_ready(
    candidate: &mut impl Started,
    version: &str,
    limits: &Gate,
    asked: &Asked<'_>,
    step: &Ongoing,
) -> Result<Readiness, Failure> {
    match ask(candidate, version, limits.timeout, asked, step).await {
        Ok(Ok(readiness)) => Ok(readiness),
        Ok(Err(error)) => Err(give_up(candidate, error).await),
        // There is nothing left to give up.
        Err(Exited(how)) => Err(anyhow!(how).into()),
    }
}

/// Ends a candidate that did not get ready: why, with the end of its log.
async fn give_up(candidate: &mut impl Started, error: Error) -> Failure {
    let tail = candidate.give_up().await;
    Failure::Failed(match error.downcast() {
        Ok(Breach(why)) => Breach(format!("{why}\n{tail}")).into(),
        Err(error) => anyhow!("{error}\n{tail}"),
    })
}

/// Its process has ended by itself: why, and the end of its log.
struct Exited(String);

/// Fails when the process ends, when it listens elsewhere, or after `timeout`.
async fn ask(
    candidate: &mut impl Started,
    version: &str,
    timeout: Duration,
    asked: &Asked<'_>,
    step: &Ongoing,
) -> Result<Result<Readiness, Error>, Exited> {
    let began = Instant::now();
    let (service, ears) = (candidate.service(), candidate.ears());
    let mut pause = SHORTEST_PAUSE;
    loop {
        let answer = tokio::select! {
            answer = service.ask() => answer,
            exit = candidate.exited() => return Err(Exited(exit)),
            address = elsewhere(ears.as_ref()) => return Ok(Err(Breach(listens_elsewhere(address)).into())),
        };
        asked.note(&answer.describe());
        match answer {
            Answer::Ready(readiness) if readiness.version == version => return Ok(Ok(readiness)),
            answer if began.elapsed() >= timeout => {
                return Ok(Err(too_late(answer, version, timeout, ears.as_ref()).await));
            }
            answer => step.progress(&answer.describe()),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            exit = candidate.exited() => return Err(Exited(exit)),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why a candidate that answered like this is not ready.
async fn too_late(answer: Answer, version: &str, timeout: Duration, ears: Option<&Ears>) -> Error {
    let late = format!("it was not ready within {} s; last answer", timeout.as_secs());
    match &answer {
        Answer::Ready(other) => {
            let other = &other.version;
            Breach(format!(
                "{late}: version {other} answers instead of {version}; the service has to answer with the version that its \
                 environment names (`supplied_by: version` in its settings)"
            ))
            .into()
        }
        Answer::NotUnderstood { success: true, what } => {
            Breach(format!("{late}: {what}; {}", expected(version))).into()
        }
        Answer::Unready(_) | Answer::NotUnderstood { .. } | Answer::NoHandshake(_) => {
            anyhow!("{late}: {}", answer.describe())
        }
        Answer::Unreachable(_) => match ears {
            Some(ears) if let [first, ..] = ears.others().await[..] => {
                Breach(format!("{late}: {}; {}", answer.describe(), listens_elsewhere(first))).into()
            }
            _ => anyhow!("{late}: {}", answer.describe()),
        },
    }
}

fn expected(version: &str) -> String {
    format!("expected JSON such as {{\"status\":\"ready\",\"version\":\"{version}\"}}")
}

async fn elsewhere(ears: Option<&Ears>) -> SocketAddr {
    match ears {
        Some(ears) => ears.answer_elsewhere().await,
        None => std::future::pending().await,
    }
}

fn listens_elsewhere(address: SocketAddr) -> String {
    format!(
        "it listens on {address}, not on the socket that it was given (LISTEN_FDS): the service has to accept on file descriptor 3 \
         where LISTEN_FDS is 1 and LISTEN_PID is its process, as with systemd's socket activation; one that opens the port of \
         a variable needs no change: name that variable as `service.port_variable` in deploy.yaml"
    )
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
