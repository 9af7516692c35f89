//! The state that the supervisor's tasks share. They run on one thread, so cells are enough.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;

use super::leftovers::Leftovers;
use super::log::RotatedLog;
use super::protocol::{About, Ended, Exit, InstanceSpec, InstanceStatus, PROTOCOL, Role, Status};
use super::relay::{Accepting, Backend, Relay};
use crate::secrets::Redactor;

/// How long a supervisor runs without an instance and without a connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The shared state.
pub(super) struct Shared {
    pub(super) about: About,
    /// The toolkit's binary, which starts the children.
    pub(super) program: Utf8PathBuf,
    pub(super) redactor: Redactor,
    pub(super) service_log: Rc<RefCell<RotatedLog>>,
    pub(super) own_log: RefCell<RotatedLog>,
    pub(super) leftovers: RefCell<Leftovers>,
    /// The committed instance.
    pub(super) serving: RefCell<Option<Serving>>,
    /// Held by a deploy until its version is committed or has ended.
    pub(super) deploy_lock: Arc<Mutex<()>>,
    /// Whether a deploy is under way. False while it cleans up.
    pub(super) deploying: Cell<bool>,
    pub(super) stopping: Flag,
    /// Every instance has ended, and socket, address and lock are free.
    pub(super) released: Flag,
    /// The public socket, until it is released.
    pub(super) listener: RefCell<Option<TcpListener>>,
    /// Answers what the relay accepts on the public socket.
    pub(super) relay: Rc<Relay>,
    /// While the relay accepts there.
    pub(super) accepting: RefCell<Option<Accepting>>,
    pub(super) table: watch::Sender<Table>,
}

/// The task that runs the committed instance.
pub(super) struct Serving {
    pub(super) stop: oneshot::Sender<()>,
    pub(super) task: JoinHandle<Exit>,
}

impl Serving {
    /// Stops the instance, and waits until it has drained.
    pub(super) async fn stop(self) -> Option<Exit> {
        // The task ends only after this message, so it receives it.
        self.stop.send(()).ok();
        self.task.await.ok()
    }
}

/// The connections and instances.
#[derive(Default)]
pub(super) struct Table {
    connections: usize,
    last_key: u64,
    instances: BTreeMap<u64, InstanceStatus>,
}

impl Shared {
    /// Writes a line to the supervisor's own log.
    pub(super) fn log(&self, message: fmt::Arguments<'_>) {
        let line = format!("{} {message}\n", Timestamp::now());
        self.own_log.borrow_mut().write(self.redactor.redact(&line).as_bytes());
    }

    /// A duplicate of the public socket, for a process. The relay no longer accepts on it.
    pub(super) fn public_listener(&self) -> Result<TcpListener> {
        let listener = self.duplicate()?;
        if self.accepting.take().is_some() {
            // All processes that hold the socket share its mode. None does now, and services expect a blocking one.
            listener.set_nonblocking(false).context("prepare the public socket")?;
        }
        Ok(listener)
    }

    /// The processes accept on the public socket, and the relay does not.
    pub(super) fn relay_no_more(&self) {
        drop(self.accepting.take());
        // Connections that it has accepted go on.
        self.relay.point_to(Some(Backend::public(self.about.listen)));
    }

    /// Has the relay accept on the public socket, and send requests to this backend.
    pub(super) fn relay_to(&self, backend: Rc<Backend>) -> Result<()> {
        if self.accepting.borrow().is_none() {
            let accepting = self.relay.accept(self.duplicate()?).context("accept on the public socket")?;
            self.accepting.replace(Some(accepting));
        }
        self.relay.point_to(Some(backend));
        Ok(())
    }

    fn duplicate(&self) -> Result<TcpListener> {
        let listener = self.listener.borrow();
        let listener = listener.as_ref().context("the supervisor is stopping")?;
        listener.try_clone().context("duplicate the public socket")
    }

    pub(super) fn status(&self) -> Status {
        Status {
            supervisor: self.about.clone(),
            protocol: PROTOCOL,
            instances: self.table.borrow().instances.values().cloned().collect(),
            lost_log_writes: self.service_log.borrow().lost() + self.own_log.borrow().lost(),
        }
    }

    /// Resolves when there is no instance.
    pub(super) async fn no_instances(&self) {
        // Cannot fail: `self` owns the sender.
        self.table.subscribe().wait_for(|table| table.instances.is_empty()).await.ok();
    }

    /// Resolves when there is no connection.
    pub(super) async fn disconnected(&self) {
        self.table.subscribe().wait_for(|table| table.connections == 0).await.ok();
    }

    /// Resolves when the supervisor has had nothing to do for a while, so that a failed first deploy leaves no supervisor.
    pub(super) async fn idle(&self) {
        let is_idle = |table: &Table| table.connections == 0 && table.instances.is_empty();
        let mut table = self.table.subscribe();
        loop {
            table.wait_for(is_idle).await.ok();
            if tokio::time::timeout(IDLE_TIMEOUT, table.wait_for(|table| !is_idle(table))).await.is_err() {
                return;
            }
        }
    }
}

/// A flag that is raised once.
#[derive(Default)]
pub(super) struct Flag(watch::Sender<bool>);

impl Flag {
    pub(super) fn raise(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) async fn raised(&self) {
        self.0.subscribe().wait_for(|raised| *raised).await.ok();
    }
}

/// Counts a connection while it lives.
pub(super) struct ConnectionGuard(Rc<Shared>);

impl ConnectionGuard {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        shared.table.send_modify(|table| table.connections += 1);
        Self(Rc::clone(shared))
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.table.send_modify(|table| table.connections -= 1);
    }
}

/// An instance's entry in the table. Dropping it removes the entry.
pub(super) struct Entry {
    shared: Rc<Shared>,
    key: u64,
}

impl Entry {
    pub(super) fn new(shared: &Rc<Shared>, spec: &InstanceSpec, role: Role, pid: u32) -> Self {
        let status = InstanceStatus {
            id: spec.id.clone(),
            version: spec.version.clone(),
            pid: Some(pid),
            role,
            since: Timestamp::now(),
            restarts: 0,
            last_exit: None,
            user: spec.user,
        };
        let mut key = 0;
        shared.table.send_modify(|table| {
            table.last_key += 1;
            key = table.last_key;
            table.instances.insert(key, status);
        });
        Self { shared: Rc::clone(shared), key }
    }

    pub(super) fn role(&self, role: Role) {
        self.change(|status| status.role = role);
    }

    /// The instance crashed and waits for its restart.
    pub(super) fn crashed(&self, ended: &Ended) {
        self.change(|status| {
            status.pid = None;
            status.role = Role::Restarting;
            status.since = ended.at;
            status.last_exit = Some(ended.clone());
        });
    }

    /// The instance was restarted.
    pub(super) fn restarted(&self, pid: u32) {
        self.change(|status| {
            status.pid = Some(pid);
            status.role = Role::Serving;
            status.since = Timestamp::now();
            status.restarts += 1;
        });
    }

    fn change(&self, change: impl FnOnce(&mut InstanceStatus)) {
        self.shared.table.send_modify(|table| {
            if let Some(status) = table.instances.get_mut(&self.key) {
                change(status);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.table.send_modify(|table| {
            table.instances.remove(&self.key);
        });
    }
}
