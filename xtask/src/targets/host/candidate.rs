//! A release whose container was started and does not serve yet.

use anyhow::Result;

use super::containers::{TAIL, VERSION};
use super::proxy::Slot;
use crate::clients::docker::Engine;
use crate::clients::docker::kept::Spec;
use crate::clients::service::Service;
use crate::targets::local::Ears;
use crate::targets::{Started, log_tail};

/// Seconds that it has to end.
const END: i32 = 10;

/// A container beside the one that serves. Dropped before it serves, it is stopped, and kept to be looked at.
pub struct Candidate {
    /// Where its readiness is asked for.
    pub service: Service,
    pub(super) container: String,
    pub(super) slot: Slot,
    pub(super) spec: Spec,
    pub(super) serves: bool,
    pub(super) engine: Engine,
    ended: bool,
}

impl Candidate {
    pub(super) fn new(engine: Engine, container: String, slot: Slot, spec: Spec, service: Service) -> Self {
        Self { service, container, slot, spec, serves: false, engine, ended: false }
    }

    pub(super) fn version(&self) -> &str {
        &self.spec.labels[VERSION]
    }

    /// What was started.
    pub fn summary(&self) -> String {
        format!("container {}, not public yet", self.spec.name)
    }

    async fn log(&self) -> String {
        match self.engine.last_lines(&self.container, TAIL).await {
            Ok(lines) => log_tail(&lines),
            Err(error) => format!("{error:#}"),
        }
    }

    /// The log, and where the container is kept.
    async fn told(&self) -> String {
        let (log, name) = (self.log().await, &self.spec.name);
        format!("{log}\nits container is kept, stopped, until the next deploy: docker inspect {name}")
    }
}

impl Started for Candidate {
    fn service(&self) -> Service {
        self.service.clone()
    }

    fn ears(&self) -> Option<Ears> {
        None
    }

    async fn exited(&mut self) -> String {
        let ended = self.engine.ended(&self.container).await;
        self.ended = ended.is_ok();
        match ended {
            Ok(code) => format!("its container ended with exit code {code}\n{}", self.told().await),
            Err(error) => format!("{error:#}"),
        }
    }

    async fn give_up(&mut self) -> String {
        let stopped = self.engine.end(&self.container, END).await;
        self.ended = stopped.is_ok();
        match stopped {
            Ok(()) => self.told().await,
            Err(error) => {
                let (log, name) = (self.log().await, &self.spec.name);
                format!(
                    "{log}\nits container may still run, until the next deploy removes it: docker inspect {name}\n{error:#}"
                )
            }
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if self.serves || self.ended {
            return;
        }
        // `drop` can neither await nor block inside a runtime, so this gets its own thread, runtime and connection. What cannot be
        // stopped here is removed by the next deploy.
        let stop = || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let engine = Engine::connect(Some(&self.engine.address().to_string())).await?;
                engine.end(&self.container, END).await
            })
        };
        std::thread::scope(|scope| drop(scope.spawn(stop).join()));
    }
}
