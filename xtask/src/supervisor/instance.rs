//! One process of the service, from its start to its end.

use std::cell::RefCell;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use command_fds::{CommandFdExt as _, FdMapping};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use secrecy::SecretString;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::inherited;
use super::output::{Ring, Sink, follow};
use super::protocol::{Ended, Exit, InstanceSpec, Role};
use super::relay::Backend;
use super::shared::Shared;
use crate::fs::Owner;
use crate::secrets::has_password;

/// The first descriptor of socket activation.
const LISTEN_FD: i32 = 3;

/// How long a service that the relay sends requests to may take for those in progress before it is told to stop.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to read the output of a process after its end.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A process of the service. Dropping it stops the process.
pub(super) struct Instance {
    pub(super) spec: Arc<InstanceSpec>,
    pub(super) pid: u32,
    pub(super) started: Instant,
    /// Where the relay reaches it, unless it has a socket.
    pub(super) backend: Option<Rc<Backend>>,
    label: Rc<RefCell<String>>,
    stop: mpsc::UnboundedSender<Duration>,
    exit: watch::Receiver<Option<Exit>>,
}

/// How the requests reach a process.
pub(super) enum Inlet {
    /// It accepts them on this socket, which it is given.
    Socket(TcpListener),
    /// The relay sends them to the port that it opens.
    Port(Rc<Backend>),
}

impl Instance {
    /// Starts a process that gets its requests like this. `role` names it in the log.
    pub(super) fn start(shared: &Rc<Shared>, spec: Arc<InstanceSpec>, inlet: Inlet, role: Role) -> Result<Self> {
        if shared.stopping.is_raised() {
            bail!("the supervisor is stopping");
        }
        // A setting of an early release may have a password that is not declared as secret.
        let passwords = spec.env.values().filter(|value| has_password(value));
        for value in spec.secrets.values().chain(passwords) {
            shared.redactor.learn_value(&SecretString::from(value.as_str()));
        }
        let backend = match &inlet {
            Inlet::Socket(_) => None,
            Inlet::Port(backend) => Some(Rc::clone(backend)),
        };
        let mut child = command(shared, &spec, inlet)?
            .spawn()
            .with_context(|| format!("start {} of {} in {}", spec.program, spec.version, spec.dir))?;
        let pid = child.id().context("the process ended while it was started")?;
        if let Err(error) = shared.leftovers.borrow_mut().add(pid) {
            shared.log(format_args!("cannot record the process {pid}: {error:#}"));
        }
        shared.log(format_args!("{} {}: started as process {pid}", spec.id, spec.version));

        let label = Rc::new(RefCell::new(label(&spec.version, role)));
        let sink = Sink {
            label: Rc::clone(&label),
            ring: Ring::default(),
            log: Rc::clone(&shared.service_log),
            redactor: shared.redactor.clone(),
        };
        sink.note(format_args!("started as process {pid}"));
        let mut output = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            output.spawn_local(follow(stdout, sink.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            output.spawn_local(follow(stderr, sink.clone()));
        }

        let (stop, stop_asked) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        let (shared, own_spec) = (Rc::clone(shared), Arc::clone(&spec));
        tokio::task::spawn_local(async move {
            let ended = wait(child, pid, stop_asked, own_spec.stop_timeout, output).await;
            if let Err(error) = shared.leftovers.borrow_mut().remove(pid) {
                shared.log(format_args!("cannot record the end of the process {pid}: {error:#}"));
            }
            shared.log(format_args!("{} {}: process {pid} {ended}", own_spec.id, own_spec.version));
            sink.note(format_args!("process {pid} {ended}"));
            exited.send_replace(Some(exit_of(&own_spec, pid, ended, &sink.ring)));
        });
        Ok(Self { spec, pid, started: Instant::now(), backend, label, stop, exit })
    }

    /// Names a process in the log that was started as a candidate and gets public requests now.
    pub(super) fn promoted(&self) {
        self.label.replace(label(&self.spec.version, Role::Promoted));
    }

    /// Resolves when it has ended. Cancel-safe.
    pub(super) async fn exited(&self) -> Exit {
        let exit = self.exit.clone().wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
        let unknown = || Ended { at: Timestamp::now(), code: None, signal: None, overdue: false };
        exit.unwrap_or_else(|| exit_of(&self.spec, self.pid, unknown(), &Ring::default()))
    }

    /// Whether it has ended.
    pub(super) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Sends SIGTERM, and SIGKILL after `timeout`. A process that the relay sends requests to finishes them first.
    pub(super) async fn stop(&self, timeout: Duration) -> Exit {
        if let Some(backend) = &self.backend {
            tokio::select! {
                _ = tokio::time::timeout(REQUEST_TIMEOUT, backend.idle()) => {}
                exit = self.exited() => return exit,
            }
        }
        // Fails only when it has ended.
        self.stop.send(timeout).ok();
        self.exited().await
    }
}

/// What each line of a process begins with in the log. A candidate is told from the release that serves.
fn label(version: &str, role: Role) -> String {
    if role == Role::Candidate { format!("{version} candidate | ") } else { format!("{version} | ") }
}

fn command(shared: &Shared, spec: &InstanceSpec, inlet: Inlet) -> Result<Command> {
    let mut command = std::process::Command::new(&shared.program);
    command.args(["supervise-exec", "--parent", &shared.about.pid.to_string()]);
    if let Some(Owner { uid, gid }) = spec.user {
        command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
    }
    command.arg("--").arg(&spec.program).args(&spec.args).current_dir(&spec.dir);
    command.env_clear().envs(inherited());
    command.envs(&spec.env).envs(&spec.secrets);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own process group, so that processes it starts can be killed with it.
    command.process_group(0);
    match inlet {
        Inlet::Socket(listener) => {
            command.env("LISTEN_FDS", "1");
            command.fd_mappings(vec![FdMapping { parent_fd: listener.into(), child_fd: LISTEN_FD }])?;
        }
        Inlet::Port(backend) => {
            let port = backend.choose_port().context("choose a port for the service")?;
            command.envs(spec.port_variable.iter().map(|variable| (variable, port.to_string())));
        }
    }
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    Ok(command)
}

/// Waits for the end of a process. Stops it on request, or when its [`Instance`] is dropped.
async fn wait(
    mut child: Child,
    pid: u32,
    mut stop: mpsc::UnboundedReceiver<Duration>,
    stop_timeout: Duration,
    mut output: JoinSet<()>,
) -> Ended {
    let group = Pid::from_raw(pid.cast_signed());
    let mut overdue = false;
    let status = tokio::select! {
        status = child.wait() => status,
        asked = stop.recv() => {
            // The number is still this process's: its status has not been read yet. If it has just ended, the signal fails.
            group.and_then(|process| kill_process(process, Signal::TERM).ok());
            match timeout(asked.unwrap_or(stop_timeout), child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    overdue = true;
                    group.and_then(|group| kill_process_group(group, Signal::KILL).ok());
                    child.wait().await
                }
            }
        }
    };
    // Kills processes that it left in its group.
    group.and_then(|group| kill_process_group(group, Signal::KILL).ok());
    timeout(OUTPUT_TIMEOUT, async { while output.join_next().await.is_some() {} }).await.ok();
    let status: Option<ExitStatus> = status.ok();
    Ended {
        at: Timestamp::now(),
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        overdue,
    }
}

fn exit_of(spec: &InstanceSpec, pid: u32, ended: Ended, ring: &Ring) -> Exit {
    Exit { id: spec.id.clone(), version: spec.version.clone(), pid, ended, tail: ring.tail() }
}
