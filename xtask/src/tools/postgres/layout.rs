//! The folders of a private server, and the user that it runs as.
//!
//! PostgreSQL refuses to run as root. So root runs its programs as the owner of the data, else as `postgres`, else as `nobody`.
//! If that user has no access to the wanted folder (a checkout in root's home), the server's folder is below
//! [`platform::SYSTEM_STATE`], and the wanted folder is a link to it.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::{chown, symlink};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};

use crate::fs::found;
use crate::tools::cmd::Cmd;
use crate::tools::platform::{self, User};

/// The name of every private server's socket. The number has no meaning.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The folders and the user of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The folder of its data and its log, without links in its path.
    pub home: Utf8PathBuf,
    /// The folder of its socket.
    pub sockets: Utf8PathBuf,
    /// The user that its programs run as, if it is not this process's.
    pub user: Option<User>,
    /// The wanted folder, if it is a link to [`Layout::home`].
    pub link: Option<Utf8PathBuf>,
}

impl Layout {
    /// Chooses and creates the folders. Only the server's user has access to them. Idempotent. `project` is part of the name of a
    /// system folder, if one is needed.
    pub(super) async fn prepare(folder: &Utf8Path, project: &str) -> Result<Self> {
        let user = match user_of(folder)? {
            Some(user) => user,
            None => default_user()?,
        };
        let home = home(folder, project, user.as_ref()).await?;
        let link = folder.is_symlink().then(|| folder.to_owned());
        let sockets = sockets(&home, user.as_ref());
        let layout = Self { home, sockets, user, link };
        for private in [&layout.home.join("log"), &layout.sockets] {
            layout.own_folder(private)?;
        }
        Ok(layout)
    }

    /// The folders as they are; none where there is no data. Changes nothing.
    pub(super) async fn find(folder: &Utf8Path) -> Result<Option<Self>> {
        let Some(user) = user_of(folder)? else { return Ok(None) };
        let home = folder.canonicalize_utf8().with_context(|| format!("resolve {folder}"))?;
        let link = folder.is_symlink().then(|| folder.to_owned());
        let sockets = sockets(&home, user.as_ref());
        Ok(Some(Self { home, sockets, user, link }))
    }

    /// The data folder.
    pub(super) fn data(&self) -> Utf8PathBuf {
        self.home.join("data")
    }

    /// The log folder.
    pub(super) fn log(&self) -> Utf8PathBuf {
        self.home.join("log")
    }

    /// The socket's path.
    pub(super) fn socket(&self) -> Utf8PathBuf {
        self.sockets.join(SOCKET_NAME)
    }

    /// Makes the server's user the owner of a file or folder.
    pub(super) fn hand_over(&self, path: &Utf8Path) -> Result<()> {
        match &self.user {
            Some(user) => Ok(chown(path, Some(user.uid), Some(user.gid))?),
            None => Ok(()),
        }
    }

    /// Creates a folder that only the server's user can enter. Refuses an existing folder of another user: in /tmp, any user may
    /// have created it.
    fn own_folder(&self, folder: &Utf8Path) -> Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.with_context(|| format!("create the folder {folder}"))?,
        }
        let meta = fs_err::symlink_metadata(folder)?;
        let uid = self.user.as_ref().map_or(geteuid().as_raw(), |user| user.uid);
        let is_own = meta.uid() == uid || meta.uid() == geteuid().as_raw();
        ensure!(meta.is_dir() && is_own, "{folder} is not a folder of this server's user; remove it");
        if meta.permissions().mode() & 0o777 != 0o700 {
            fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        }
        self.hand_over(folder)
    }
}

/// The user that the data belongs to, `Some(None)` if it is this process's; none where there is no data.
fn user_of(folder: &Utf8Path) -> Result<Option<Option<User>>> {
    Ok(match owner_of(&folder.join("data"))? {
        Some((0, _)) => bail!("{folder}/data belongs to root, but PostgreSQL does not run as root; move it away"),
        Some((uid, gid)) if platform::is_root() => Some(Some(User { name: platform::user_name(uid), uid, gid })),
        Some((uid, _)) if uid != geteuid().as_raw() => {
            let owner = platform::user_name(uid);
            bail!(
                "the database in {folder} belongs to {owner}; run the command as {owner} or root, or move the folder away"
            );
        }
        Some(_) => Some(None),
        None => None,
    })
}

/// The user that a new server runs as; `None` is this process's user.
pub(super) fn default_user() -> Result<Option<User>> {
    if !platform::is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = platform::find_user(name)? {
            return Ok(Some(user));
        }
    }
    bail!(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody to run it as"
    )
}

/// The folder itself, or the system folder that it links to.
async fn home(folder: &Utf8Path, project: &str, user: Option<&User>) -> Result<Utf8PathBuf> {
    if folder.is_symlink() && !folder.exists() {
        fs_err::remove_file(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    let home = folder.canonicalize_utf8().with_context(|| format!("resolve {folder}"))?;
    let Some(user) = user else { return Ok(home) };
    // The user needs access even under a strict umask. The folders inside are private.
    fs_err::set_permissions(&home, std::fs::Permissions::from_mode(0o755))?;
    if Cmd::new("test").args(["-x", home.as_str()]).dir("/").user(user.uid, user.gid).succeeds().await? {
        return Ok(home);
    }
    let name = format!("{project}-{}", short_hash(&home));
    let elsewhere = Utf8Path::new(platform::SYSTEM_STATE).join(name);
    fs_err::create_dir_all(&elsewhere)?;
    fs_err::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o755))?;
    let not_empty = || format!("{} cannot enter {home}, which is not empty; move it away", user.name);
    fs_err::remove_dir(&home).with_context(not_empty)?;
    symlink(&elsewhere, &home)?;
    Ok(elsewhere)
}

/// `<home>/run`, or a folder in /tmp if the socket's path is too long. Not in `$XDG_RUNTIME_DIR`, which is removed at log-out:
/// the server outlives that.
fn sockets(home: &Utf8Path, user: Option<&User>) -> Utf8PathBuf {
    let near = home.join("run");
    if near.join(SOCKET_NAME).as_str().len() <= platform::SOCKET_PATH_MAX {
        return near;
    }
    let uid = user.map_or(geteuid().as_raw(), |user| user.uid);
    Utf8PathBuf::from(format!("/tmp/xtask-postgres-{uid}-{}", short_hash(home)))
}

/// 48 bits distinguish the folders of one machine.
fn short_hash(path: &Utf8Path) -> String {
    hex::encode(&Sha256::digest(path.as_str())[..6])
}

fn owner_of(path: &Utf8Path) -> Result<Option<(u32, u32)>> {
    Ok(found(fs_err::metadata(path))?.map(|meta| (meta.uid(), meta.gid())))
}
