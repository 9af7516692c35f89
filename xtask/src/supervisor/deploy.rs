//! One deploy: candidate → promoted → committed, or discarded at any point before.

use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::OwnedMutexGuard;

use super::instance::Instance;
use super::monitor;
use super::protocol::{Candidate, Exit, InstanceSpec, Role};
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
    lock: DeployLock,
}

impl Deploy {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        Self { shared: Rc::clone(shared), stage: None }
    }

    /// Starts the new version on a private socket.
    pub(super) async fn candidate(&mut self, spec: InstanceSpec) -> Result<Candidate> {
        let lock = DeployLock::take(&self.shared).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a private socket")?;
        let address = listener.local_addr()?;
        let spec = Arc::new(spec);
        let instance = Instance::start(&self.shared, Arc::clone(&spec), listener, Role::Candidate)?;
        let pid = instance.pid;
        let entry = Entry::new(&self.shared, &spec, Role::Candidate, pid);
        self.stage = Some(Stage { instance, entry, is_public: false, lock });
        Ok(Candidate { address, pid })
    }

    /// Starts the same version on the public socket, beside the old one. The candidate ends first: it holds no client's
    /// request, and so there are never three processes that hold database connections.
    pub(super) async fn promote(&mut self) -> Result<u32> {
        let Stage { instance, entry, lock, .. } = self
            .stage
            .take_if(|stage| !stage.is_public && !stage.instance.has_exited())
            .context("there is no candidate to promote")?;
        let spec = Arc::clone(&instance.spec);
        instance.stop(spec.stop_timeout.min(CANDIDATE_STOP_TIMEOUT)).await;
        drop(entry);
        let instance =
            Instance::start(&self.shared, Arc::clone(&spec), self.shared.public_listener()?, Role::Promoted)?;
        let pid = instance.pid;
        let entry = Entry::new(&self.shared, &spec, Role::Promoted, pid);
        self.stage = Some(Stage { instance, entry, is_public: true, lock });
        Ok(pid)
    }

    /// Makes the new version the serving one. Waits until the old one has drained, and returns how it ended.
    pub(super) async fn commit(&mut self) -> Result<Option<Exit>> {
        let Stage { instance, entry, lock, .. } = self
            .stage
            .take_if(|stage| stage.is_public && !stage.instance.has_exited())
            .context("there is no promoted instance to commit")?;
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
        let Stage { instance, entry, is_public, lock } = self.stage.take()?;
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
