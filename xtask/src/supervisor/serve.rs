//! The supervisor process: it starts, waits for a reason to stop, and stops.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use rustix::fs::Mode;
use rustix::process::{setsid, umask};
use tokio::net::{TcpSocket, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::leftovers::Leftovers;
use super::log::RotatedLog;
use super::protocol::{About, Started, encode};
use super::relay::{Audience, Relay};
use super::shared::{Flag, Shared, Table};
use super::{control, service_log, supervisor_log};
use crate::fs::{Lock, found, own_folder};
use crate::secrets::Redactor;

/// Connections that may wait while no instance accepts, for example between a crash and the restart.
const BACKLOG: u32 = 1024;

/// How long to wait for the lock: a supervisor that was just killed still holds it for a moment.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long clients may take to read the last answer.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Arguments of the hidden command that runs the supervisor.
#[derive(Debug, clap::Args)]
pub struct Supervise {
    /// The folder for its sockets, locks and logs.
    pub state_dir: Utf8PathBuf,
    /// The service's public address.
    #[arg(long)]
    pub listen: SocketAddr,
    /// The version of the toolkit that starts it.
    #[arg(long)]
    pub toolkit: String,
}

/// Runs the supervisor until a client or a signal stops it, or it has nothing to supervise. Writes its start message to
/// standard output.
pub fn supervise(args: Supervise) -> Result<()> {
    // Fails for the leader of a process group, as when it is started from a shell. It then stays in the shell's session.
    setsid().ok();
    // Also what the service writes is its user's own, unless it says otherwise.
    umask(Mode::from_raw_mode(0o077));
    // One thread: on Linux, the parent-death signal is sent when the thread that started the child ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match Box::pin(start(args)).await {
            Ok(supervisor) => {
                report(&Started::Ready);
                Box::pin(supervisor.run()).await
            }
            Err(error) => {
                let in_use = error.downcast_ref::<std::io::Error>().is_some_and(is_address_in_use);
                report(&if in_use { Started::PortInUse } else { Started::Failed(format!("{error:#}")) });
                Err(error)
            }
        }
    })
}

/// A running supervisor.
struct Supervisor {
    shared: Rc<Shared>,
    control: UnixListener,
    control_path: Utf8PathBuf,
    lock: Lock,
}

async fn start(args: Supervise) -> Result<Supervisor> {
    let Supervise { state_dir, listen, toolkit } = args;
    let state_dir = state_dir.canonicalize_utf8().with_context(|| format!("find the folder {state_dir}"))?;
    let lock = Lock::take(&state_dir.join("supervisor.lock"), "supervises", LOCK_TIMEOUT).await;
    let lock = lock.with_context(|| format!("lock {state_dir}, which has another supervisor"))?;
    own_folder(&state_dir.join("logs"), None, 0o700)?;
    let leftovers = Leftovers::stop(&state_dir).await?;
    // In this order: who finds the port taken finds by which supervisor.
    let control_path = control::socket_path(&state_dir)?;
    let control = control::bind(&control_path)?;
    let listener = match bind(listen) {
        Ok(listener) => listener,
        Err(error) => {
            found(fs_err::remove_file(&control_path))?;
            return Err(error);
        }
    };
    let program = Utf8PathBuf::try_from(std::env::current_exe()?).context("the toolkit's path is not UTF-8")?;
    let about =
        About { pid: std::process::id(), toolkit, listen: listener.local_addr()?, sets_user: true, relays: true };
    let shared = Rc::new(Shared {
        about,
        program,
        redactor: Redactor::default(),
        service_log: Rc::new(RefCell::new(RotatedLog::new(&service_log(&state_dir)))),
        own_log: RefCell::new(RotatedLog::new(&supervisor_log(&state_dir))),
        leftovers: RefCell::new(leftovers),
        serving: RefCell::new(None),
        deploy_lock: Arc::new(Mutex::new(())),
        deploying: Cell::new(false),
        stopping: Flag::default(),
        released: Flag::default(),
        listener: RefCell::new(Some(listener)),
        relay: Relay::new(Audience::Public, None),
        accepting: RefCell::new(None),
        table: watch::Sender::new(Table::default()),
    });
    Ok(Supervisor { shared, control, control_path, lock })
}

impl Supervisor {
    async fn run(self) -> Result<()> {
        let Supervisor { shared, control, control_path, lock } = self;
        let About { pid, toolkit, listen, .. } = &shared.about;
        shared.log(format_args!("supervisor {pid} of toolkit {toolkit} listens on {listen}"));
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let accepting = tokio::task::spawn_local(control::accept(Rc::clone(&shared), control));

        let reason = tokio::select! {
            () = shared.stopping.raised() => "a client requested it",
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = shared.idle() => "there is nothing to supervise",
        };
        shared.log(format_args!("stopping: {reason}"));
        shared.stopping.raise();
        // The release that serves answers what the relay has accepted, before it is stopped.
        drop(shared.accepting.take());
        shared.relay.point_to(None);
        let serving = shared.serving.take();
        if let Some(serving) = serving {
            serving.stop().await;
        }
        shared.no_instances().await;

        // In this order: a client that is told of the end may launch the next supervisor at once.
        shared.log(format_args!("stopped"));
        accepting.abort();
        fs_err::remove_file(&control_path).ok();
        drop(shared.listener.take());
        drop(lock);
        shared.released.raise();
        timeout(LAST_ANSWER_TIMEOUT, shared.disconnected()).await.ok();
        Ok(())
    }
}

fn bind(listen: SocketAddr) -> Result<TcpListener> {
    let bind = || {
        let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections of an earlier supervisor in TIME_WAIT must not block the port.
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        let listener = socket.listen(BACKLOG)?.into_std()?;
        // All processes that hold the socket share its mode, and services expect a blocking one.
        listener.set_nonblocking(false)?;
        Ok::<_, std::io::Error>(listener)
    };
    bind().with_context(|| format!("listen on {listen}"))
}

fn is_address_in_use(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrInUse
}

fn report(started: &Started) {
    if let Ok(line) = encode(started) {
        // The launching command may have ended. The supervisor then ends when no other client connects.
        std::io::stdout().write_all(line.as_bytes()).ok();
    }
}
