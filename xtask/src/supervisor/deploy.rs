//! One deploy: candidate → promoted → committed, or discarded at any point before.

use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::OwnedMutexGuard;

use super::instance::{Inlet, Instance};
use super::monitor;
use super::protocol::{Candidate, Exit, InstanceSpec, Role};
use super::relay::{Accepting, Audience, Backend, Relay};
use super::shared::{Entry, Shared};

/// The longest time that a candidate gets to stop: it has answered probes only.
const CANDIDATE_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The deploy of one control connection.
pub(super) struct Deploy {
    shared: Rc<Shared>,
    stage: Option<Stage>,
}

/// The new version, before commit.
struct Stage {
    instance: Instance,
    entry: Entry,
    is_public: bool,
    /// While the deploy asks a candidate through the relay.
    _gate: Option<Accepting>,
    /// From the promotion on.
    before: Option<Before>,
    lock: DeployLock,
}

/// Where public requests went before a promotion. Unless that is committed, they go there again.
struct Before {
    shared: Rc<Shared>,
    /// The relay's backend; none where the processes accept themselves.
    backend: Option<Rc<Backend>>,
    is_committed: bool,
}

impl Deploy {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        Self { shared: Rc::clone(shared), stage: None }
    }

    /// Starts the new version on a private socket, or behind one.
    pub(super) async fn candidate(&mut self, spec: InstanceSpec) -> Result<Candidate> {
        let lock = DeployLock::take(&self.shared).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a private socket")?;
        let address = listener.local_addr()?;
        let spec = Arc::new(spec);
        let (inlet, gate) = match spec.port_variable {
            None => (Inlet::Socket(listener), None),
            Some(_) => {
                let backend = Backend::new(&spec.version);
                let relay = Relay::new(Audience::Gate, Some(Rc::clone(&backend)));
                (Inlet::Port(backend), Some(relay.accept(listener).context("accept on a private socket")?))
            }
        };
        let instance = Instance::start(&self.shared, Arc::clone(&spec), inlet, Role::Candidate)?;
        let pid = instance.pid;
        let entry = Entry::new(&self.shared, &spec, Role::Candidate, pid);
        self.stage = Some(Stage { instance, entry, is_public: false, _gate: gate, before: None, lock });
        Ok(Candidate { address, pid })
    }

    /// Starts the same version on the public socket, beside the old one. The candidate ends first: it holds no client's
    /// request, and so there are never three processes that hold database connections. One with a port of its own runs on:
    /// public requests go to it from now on.
    pub(super) async fn promote(&mut self) -> Result<u32> {
        let Stage { instance, entry, lock, .. } = self
            .stage
            .take_if(|stage| !stage.is_public && !stage.instance.has_exited())
            .context("there is no candidate to promote")?;
        let spec = Arc::clone(&instance.spec);
        if let Some(backend) = &instance.backend {
            let before = Some(Before::now(&self.shared));
            self.shared.relay_to(Rc::clone(backend))?;
            instance.promoted();
            entry.role(Role::Promoted);
            let pid = instance.pid;
            self.stage = Some(Stage { instance, entry, is_public: true, _gate: None, before, lock });
            return Ok(pid);
        }
        let before = Some(Before::now(&self.shared));
        instance.stop(spec.stop_timeout.min(CANDIDATE_STOP_TIMEOUT)).await;
        drop(entry);
        let inlet = Inlet::Socket(self.shared.public_listener()?);
        let instance = Instance::start(&self.shared, Arc::clone(&spec), inlet, Role::Promoted)?;
        let pid = instance.pid;
        let entry = Entry::new(&self.shared, &spec, Role::Promoted, pid);
        self.stage = Some(Stage { instance, entry, is_public: true, _gate: None, before, lock });
        Ok(pid)
    }

    /// Makes the new version the serving one. Waits until the old one has drained, and returns how it ended.
    pub(super) async fn commit(&mut self) -> Result<Option<Exit>> {
        let Stage { instance, entry, lock, before, .. } = self
            .stage
            .take_if(|stage| stage.is_public && !stage.instance.has_exited())
            .context("there is no promoted instance to commit")?;
        if let Some(mut before) = before {
            before.is_committed = true;
        }
        if instance.backend.is_none() {
            self.shared.relay_no_more();
        }
        entry.role(Role::Serving);
        self.shared.log(format_args!("{} {}: committed", instance.spec.id, instance.spec.version));
        let serving = monitor::start(&self.shared, instance, entry);
        let old = self.shared.serving.replace(Some(serving));
        drop(lock);
        match old {
            Some(old) => Ok(old.stop().await),
            None => Ok(None),
        }
    }

    /// Stops the new version, if there is one, and returns how it ended. The old one runs on.
    pub(super) async fn discard(&mut self) -> Option<Exit> {
        let Stage { instance, entry, is_public, before, lock, .. } = self.stage.take()?;
        drop(before);
        self.shared.log(format_args!("{} {}: discarded", instance.spec.id, instance.spec.version));
        entry.role(Role::Draining);
        lock.clean_up();
        let timeout = instance.spec.stop_timeout;
        Some(instance.stop(if is_public { timeout } else { timeout.min(CANDIDATE_STOP_TIMEOUT) }).await)
    }

    /// Resolves when the new version ends by itself, which ends the deploy. Cancel-safe.
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

impl Before {
    fn now(shared: &Rc<Shared>) -> Self {
        let backend = shared.relay.backend().filter(|_| shared.accepting.borrow().is_some());
        Self { shared: Rc::clone(shared), backend, is_committed: false }
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        match self.backend.take() {
            Some(backend) => {
                if let Err(error) = self.shared.relay_to(backend) {
                    self.shared.log(format_args!("cannot relay to the earlier version again: {error:#}"));
                }
            }
            None => self.shared.relay_no_more(),
        }
    }
}

/// Allows one deploy at a time.
struct DeployLock {
    shared: Rc<Shared>,
    _guard: OwnedMutexGuard<()>,
}

impl DeployLock {
    /// Fails at once while another deploy is under way. Waits for one that is cleaning up.
    async fn take(shared: &Rc<Shared>) -> Result<Self> {
        if shared.deploying.get() {
            bail!("another deploy is under way");
        }
        let guard = Arc::clone(&shared.deploy_lock).lock_owned().await;
        shared.deploying.set(true);
        Ok(Self { shared: Rc::clone(shared), _guard: guard })
    }

    fn clean_up(&self) {
        self.shared.deploying.set(false);
    }
}

impl Drop for DeployLock {
    fn drop(&mut self) {
        self.clean_up();
    }
}
