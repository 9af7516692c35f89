//! A release that was given to the panel, in the place of the previous one.

use std::sync::Arc;

use crate::clients::easypanel::{App, Container, Easypanel};
use crate::clients::service::Service;
use crate::targets::condition::Condition;

/// A release that the panel has, and that is not known to be ready.
pub struct Candidate {
    /// Where its readiness is asked for: where people reach the service.
    pub service: Service,
    pub(super) containers: Arc<Containers>,
    /// Of a deploy whose end the panel did not tell: what is known.
    pub(super) unsure: Option<String>,
    /// Where people look at it.
    pub(super) place: String,
}

/// The containers of every service of a release.
pub(super) struct Containers {
    pub(super) api: Arc<Easypanel>,
    pub(super) apps: Vec<App>,
    pub(super) digest: String,
    /// The ids of those that ran before the panel deployed: a release with the same image runs in others.
    pub(super) before: Vec<String>,
}

impl Candidate {
    /// What the panel says of its containers.
    pub async fn condition(&self) -> Condition {
        self.containers.condition().await
    }

    /// Where to read its log, and what else is known.
    pub fn where_its_log_is(&self) -> String {
        let log = format!("its log is in the panel: {}, Logs", self.place);
        self.unsure.iter().chain([&log]).cloned().collect::<Vec<_>>().join("\n")
    }

    /// What was given to the panel.
    pub fn summary(&self) -> String {
        let services: Vec<&str> = self.containers.apps.iter().map(|app| app.service.as_str()).collect();
        format!("deployed by the panel: {}", services.join(", "))
    }
}

impl Containers {
    /// Ready when every service runs a container of the release, all of those are well, and none of an older one runs. A panel that
    /// cannot be asked does not hold up the only service, which answers for itself.
    pub(super) async fn condition(&self) -> Condition {
        for app in &self.apps {
            let service = &app.service;
            match self.api.containers(app).await {
                Ok(containers) => match lacks(&containers, &self.digest, &self.before) {
                    None => {}
                    Some(what) => return Condition::Other(format!("that {service} {what}")),
                },
                Err(error) if self.apps.len() > 1 => return Condition::Other(format!("nothing of {service}: {error}")),
                Err(error) => return Condition::NotAsked(error.to_string()),
            }
        }
        Condition::Ready
    }
}

/// What a service lacks that has these containers. Those that have ended are of no account: Docker keeps some.
fn lacks(containers: &[Container], digest: &str, before: &[String]) -> Option<String> {
    let running = containers.iter().filter(|container| container.is_running());
    let (new, old): (Vec<_>, Vec<_>) = running.partition(|one| one.runs(digest) && !before.contains(&one.id));
    if new.is_empty() {
        return Some("runs no container of the release".to_owned());
    }
    if let Some(ill) = new.iter().find(|container| !container.is_well()) {
        return Some(format!("is {}", ill.status));
    }
    (!old.is_empty()).then(|| "still runs an older container".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_runs_a_release_alone_and_well() {
        let of = |digest: &str, state: &str, status: &str| Container {
            id: format!("{digest} {status}"),
            image: format!("registry.example.com/shop@sha256:{digest}"),
            state: state.to_owned(),
            status: status.to_owned(),
        };
        let (new, old) = (of("new", "running", "Up 1 second"), of("old", "running", "Up 2 days"));
        let lacks = |containers: &[Container]| lacks(containers, "sha256:new", &["new Up 2 days".to_owned()]);
        assert_eq!(lacks(&[new.clone(), of("old", "exited", ""), of("new", "exited", "")]), None);
        assert_eq!(lacks(&[]).as_deref(), Some("runs no container of the release"));
        assert_eq!(lacks(&[of("new", "restarting", "")]), lacks(&[]));
        assert_eq!(lacks(std::slice::from_ref(&old)), lacks(&[]));
        // The same image, from before.
        let same = of("new", "running", "Up 2 days");
        assert_eq!(lacks(std::slice::from_ref(&same)), lacks(&[]));
        for old in [old, same] {
            assert_eq!(lacks(&[new.clone(), old]).as_deref(), Some("still runs an older container"));
        }
        let starting = of("new", "running", "Up 1 second (health: starting)");
        assert_eq!(lacks(&[starting]).as_deref(), Some("is Up 1 second (health: starting)"));
    }
}
