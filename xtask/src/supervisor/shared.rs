//! What the supervisor's tasks share. They all run on one thread, so cells are enough.

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
use tokio::sync::{Mutex, watch};

use super::keeper::Keeper;
use super::leftovers::Leftovers;
use super::log::RotatedLog;
use super::protocol::{About, Ended, InstanceSpec, InstanceStatus, PROTOCOL, Role, Status};
use crate::secrets::Redactor;

/// How long a supervisor with nothing to supervise and nobody connected stays.
const IDLE: Duration = Duration::from_secs(10);

/// What the tasks share.
pub(super) struct Shared {
    pub(super) about: About,
    /// The toolkit's binary, that children start through.
    pub(super) program: Utf8PathBuf,
    pub(super) redactor: Redactor,
    pub(super) service_log: Rc<RefCell<RotatedLog>>,
    pub(super) own_log: RefCell<RotatedLog>,
    pub(super) leftovers: RefCell<Leftovers>,
    /// The committed instance.
    pub(super) serving: RefCell<Option<Keeper>>,
    /// Whoever deploys holds it until what it started has ended or is committed.
    pub(super) turn: Arc<Mutex<()>>,
    /// Somebody deploys, and is not just clearing up.
    pub(super) deploying: Cell<bool>,
    pub(super) stopping: Flag,
    /// Everything ended; socket, address and lock are free.
    pub(super) released: Flag,
    /// The public socket, until it is released.
    pub(super) listener: RefCell<Option<TcpListener>>,
    pub(super) board: watch::Sender<Board>,
}

/// Who is there.
#[derive(Default)]
pub(super) struct Board {
    connections: usize,
    last_key: u64,
    instances: BTreeMap<u64, InstanceStatus>,
}

impl Shared {
    /// A line in the supervisor's own log.
    pub(super) fn log(&self, message: fmt::Arguments<'_>) {
        let line = format!("{} {message}\n", Timestamp::now());
        self.own_log.borrow_mut().write(self.redactor.redact(&line).as_bytes());
    }

    /// One more handle of the public socket.
    pub(super) fn public_listener(&self) -> Result<TcpListener> {
        let listener = self.listener.borrow();
        let listener = listener.as_ref().context("the supervisor is stopping")?;
        listener.try_clone().context("duplicate the public socket")
    }

    pub(super) fn status(&self) -> Status {
        Status {
            supervisor: self.about.clone(),
            protocol: PROTOCOL,
            instances: self.board.borrow().instances.values().cloned().collect(),
            lost_log_writes: self.service_log.borrow().lost() + self.own_log.borrow().lost(),
        }
    }

    /// Resolves when there is no instance.
    pub(super) async fn empty(&self) {
        // An error would mean that the sender is gone, and `self` owns it.
        self.board.subscribe().wait_for(|board| board.instances.is_empty()).await.ok();
    }

    /// Resolves when nobody is connected.
    pub(super) async fn alone(&self) {
        self.board.subscribe().wait_for(|board| board.connections == 0).await.ok();
    }

    /// Resolves when there has been nothing to do for a while: a first deploy that failed leaves no supervisor behind.
    pub(super) async fn idle(&self) {
        let is_idle = |board: &Board| board.connections == 0 && board.instances.is_empty();
        let mut board = self.board.subscribe();
        loop {
            board.wait_for(is_idle).await.ok();
            if tokio::time::timeout(IDLE, board.wait_for(|board| !is_idle(board))).await.is_err() {
                return;
            }
        }
    }
}

/// Raised once, for all to see.
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

/// A connection on the board, as long as this lives.
pub(super) struct Presence(Rc<Shared>);

impl Presence {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        shared.board.send_modify(|board| board.connections += 1);
        Self(Rc::clone(shared))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.board.send_modify(|board| board.connections -= 1);
    }
}

/// An instance on the board, as long as this lives.
pub(super) struct Seat {
    shared: Rc<Shared>,
    key: u64,
}

impl Seat {
    pub(super) fn new(shared: &Rc<Shared>, spec: &InstanceSpec, role: Role, pid: u32) -> Self {
        let status = InstanceStatus {
            id: spec.id.clone(),
            version: spec.version.clone(),
            pid: Some(pid),
            role,
            since: Timestamp::now(),
            restarts: 0,
            last_exit: None,
        };
        let mut key = 0;
        shared.board.send_modify(|board| {
            board.last_key += 1;
            key = board.last_key;
            board.instances.insert(key, status);
        });
        Self { shared: Rc::clone(shared), key }
    }

    pub(super) fn role(&self, role: Role) {
        self.change(|status| status.role = role);
    }

    /// It crashed and waits to be started again.
    pub(super) fn crashed(&self, ended: &Ended) {
        self.change(|status| {
            status.pid = None;
            status.role = Role::Restarting;
            status.since = ended.at;
            status.last_exit = Some(ended.clone());
        });
    }

    /// It was started again.
    pub(super) fn restarted(&self, pid: u32) {
        self.change(|status| {
            status.pid = Some(pid);
            status.role = Role::Serving;
            status.since = Timestamp::now();
            status.restarts += 1;
        });
    }

    fn change(&self, change: impl FnOnce(&mut InstanceStatus)) {
        self.shared.board.send_modify(|board| {
            if let Some(status) = board.instances.get_mut(&self.key) {
                change(status);
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.board.send_modify(|board| {
            board.instances.remove(&self.key);
        });
    }
}
