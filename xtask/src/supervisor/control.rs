//! The server of the control socket: access control and requests.

use std::os::unix::fs::PermissionsExt as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::getuid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};

use super::deploy::Deploy;
use super::folder::{find_socket_folder, socket_folder};
use super::protocol::{Answer, Ask, Message, Request, decode, encode};
use super::shared::{ConnectionGuard, Shared};
use crate::fs::found;

/// How long a client may leave an answer unread. A suspended client must not delay the end of the supervisor.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after a failed accept. Without file descriptors, for example, the next one would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const SOCKET: &str = "control.sock";

/// The path of the control socket. Creates its folder.
pub(super) fn socket_path(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    Ok(socket_folder(state_dir)?.join(SOCKET))
}

/// The path of the control socket; none if its folder does not exist.
pub(super) fn find_socket_path(state_dir: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    Ok(find_socket_folder(state_dir)?.map(|folder| folder.join(SOCKET)))
}

/// Opens the control socket and replaces a leftover one. The caller holds the supervisor's lock.
pub(super) fn bind(path: &Utf8Path) -> Result<UnixListener> {
    found(fs_err::remove_file(path))?;
    let listener = UnixListener::bind(path).with_context(|| format!("open the control socket {path}"))?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Accepts connections until it is dropped. Each is served by its own task.
pub(super) async fn accept(shared: Rc<Shared>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (presence, shared) = (ConnectionGuard::new(&shared), Rc::clone(&shared));
                tokio::task::spawn_local(async move {
                    if let Err(error) = serve(&shared, stream).await {
                        shared.log(format_args!("control connection: {error:#}"));
                    }
                    drop(presence);
                });
            }
            Err(error) => {
                shared.log(format_args!("cannot accept a control connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(shared: &Rc<Shared>, stream: UnixStream) -> Result<()> {
    let (peer, user) = (stream.peer_cred().context("ask who connected")?.uid(), getuid().as_raw());
    if peer != user && peer != 0 {
        bail!("refused user {peer}");
    }
    let mut deploy = Deploy::new(shared);
    let result = answer_all(shared, &mut deploy, stream).await;
    // A version that was not committed ends with its connection.
    deploy.discard().await;
    result
}

async fn answer_all(shared: &Rc<Shared>, deploy: &mut Deploy, stream: UnixStream) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    send(&mut write, &Message::Hello(shared.about.clone())).await?;
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                let Request { number, ask } = decode(&line)?;
                let result = answer(shared, deploy, ask).await.map_err(|error| format!("{error:#}"));
                send(&mut write, &Message::Reply { number, result }).await?;
            }
            exit = deploy.exited() => send(&mut write, &Message::Exited(exit)).await?,
            () = shared.stopping.raised(), if deploy.is_under_way() => drop(deploy.discard().await),
            () = shared.released.raised() => return Ok(()),
        }
    }
}

async fn answer(shared: &Shared, deploy: &mut Deploy, ask: Ask) -> Result<Answer> {
    Ok(match ask {
        Ask::Status => Answer::Status(shared.status()),
        Ask::Candidate(spec) => Answer::Candidate(deploy.candidate(*spec).await?),
        Ask::Promote => Answer::Promoted(deploy.promote().await?),
        Ask::Commit => Answer::Committed(deploy.commit().await?),
        Ask::Discard => Answer::Discarded(deploy.discard().await),
        Ask::Stop => {
            shared.stopping.raise();
            deploy.discard().await;
            shared.released.raised().await;
            Answer::Stopped
        }
    })
}

async fn send(write: &mut OwnedWriteHalf, message: &Message) -> Result<()> {
    let line = encode(message)?;
    let written = tokio::time::timeout(WRITE_TIMEOUT, write.write_all(line.as_bytes())).await;
    written.context("the client does not read its answers")?.context("answer the client")
}
