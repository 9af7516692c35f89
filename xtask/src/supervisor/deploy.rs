//! One deploy: candidate → promoted → committed, or discarded at any point before.

use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::OwnedMutexGuard;

use super::instance::Instance;
use super::keeper::Keeper;
use super::protocol::{Candidate, Exit, InstanceSpec, Role};
use super::shared::{Seat, Shared};

/// How long a candidate may take to stop at most: it has answered probes and nothing else.
const CANDIDATE_PATIENCE: Duration = Duration::from_secs(10);

/// The deploy of one control connection.
pub(super) struct Deploy {
    shared: Rc<Shared>,
    stage: Option<Stage>,
}

/// The new version, before commit.
struct Stage {
    instance: Instance,
    seat: Seat,
    is_public: bool,
    turn: Turn,
}

impl Deploy {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        Self { shared: Rc::clone(shared), stage: None }
    }

    /// Starts the new version on a socket that nobody else knows.
    pub(super) async fn candidate(&mut self, spec: InstanceSpec) -> Result<Candidate> {
        let turn = Turn::take(&self.shared).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a private socket")?;
        let address = listener.local_addr()?;
        let spec = Arc::new(spec);
        let instance = Instance::start(&self.shared, Arc::clone(&spec), listener)?;
        let pid = instance.pid;
        let seat = Seat::new(&self.shared, &spec, Role::Candidate, pid);
        self.stage = Some(Stage { instance, seat, is_public: false, turn });
        Ok(Candidate { address, pid })
    }

    /// Starts the same version on the public socket, beside the old one. The candidate ends first: it holds no client's
    /// request, and so there are never three processes that hold database connections.
    pub(super) async fn promote(&mut self) -> Result<u32> {
        let Stage { instance, seat, turn, .. } = self
            .stage
            .take_if(|stage| !stage.is_public && !stage.instance.has_exited())
            .context("there is no candidate to promote")?;
        let spec = Arc::clone(&instance.spec);
        instance.stop(spec.stop_timeout.min(CANDIDATE_PATIENCE)).await;
        drop(seat);
        let instance = Instance::start(&self.shared, Arc::clone(&spec), self.shared.public_listener()?)?;
        let pid = instance.pid;
        let seat = Seat::new(&self.shared, &spec, Role::Promoted, pid);
        self.stage = Some(Stage { instance, seat, is_public: true, turn });
        Ok(pid)
    }

    /// From now on the new version is the one that is kept running. Returns when the old one has drained, and how it
    /// ended.
    pub(super) async fn commit(&mut self) -> Result<Option<Exit>> {
        let Stage { instance, seat, turn, .. } = self
            .stage
            .take_if(|stage| stage.is_public && !stage.instance.has_exited())
            .context("there is no promoted instance to commit")?;
        seat.role(Role::Serving);
        self.shared.log(format_args!("{} {}: committed", instance.spec.id, instance.spec.version));
        let keeper = Keeper::start(&self.shared, instance, seat);
        let old = self.shared.serving.replace(Some(keeper));
        drop(turn);
        match old {
            Some(old) => Ok(old.end().await),
            None => Ok(None),
        }
    }

    /// Ends the new version, if there is one, and tells how it ended. The old one notices nothing.
    pub(super) async fn discard(&mut self) -> Option<Exit> {
        let Stage { instance, seat, is_public, turn } = self.stage.take()?;
        self.shared.log(format_args!("{} {}: discarded", instance.spec.id, instance.spec.version));
        seat.role(Role::Draining);
        turn.clear_up();
        let patience = instance.spec.stop_timeout;
        Some(instance.stop(if is_public { patience } else { patience.min(CANDIDATE_PATIENCE) }).await)
    }

    /// Resolves when the new version ends by itself, which ends the deploy. May be dropped and asked again.
    pub(super) async fn exited(&mut self) -> Exit {
        match &self.stage {
            Some(stage) => {
                let exit = stage.instance.exited().await;
                self.stage = None;
                exit
            }
            None => std::future::pending().await,
        }
    }

    /// Whether there is a new version that is not committed.
    pub(super) fn is_under_way(&self) -> bool {
        self.stage.is_some()
    }
}

/// The right to deploy: one at a time.
struct Turn {
    shared: Rc<Shared>,
    _guard: OwnedMutexGuard<()>,
}

impl Turn {
    /// Fails at once while another deploy is under way, and waits for one that is clearing up.
    async fn take(shared: &Rc<Shared>) -> Result<Self> {
        if shared.deploying.get() {
            bail!("another deploy is under way");
        }
        let guard = Arc::clone(&shared.turn).lock_owned().await;
        shared.deploying.set(true);
        Ok(Self { shared: Rc::clone(shared), _guard: guard })
    }

    fn clear_up(&self) {
        self.shared.deploying.set(false);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.clear_up();
    }
}
