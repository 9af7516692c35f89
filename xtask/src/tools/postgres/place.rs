//! Where a private server lives, and as whom.
//!
//! PostgreSQL refuses to run as root. So root has its programs run as whoever owns the data already, otherwise as
//! `postgres`, otherwise as `nobody`. Where that user may not enter the folder that was asked for (a checkout in root's
//! home), the server lives under [`platform::SYSTEM_STATE`] and the folder is a link to there.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::{chown, symlink};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};

use crate::fs::found;
use crate::tools::cmd::Cmd;
use crate::tools::platform::{self, User};

/// The name of every private server's socket; the number is a port's by form only.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// What was decided about a server's surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder with its data and its log, free of links.
    pub home: Utf8PathBuf,
    /// The folder that its socket is in.
    pub sockets: Utf8PathBuf,
    /// The user that its programs run as, where that is another than this process's.
    pub user: Option<User>,
    /// The folder that was asked for, where it is now a link to [`Place::home`].
    pub link: Option<Utf8PathBuf>,
}

impl Place {
    /// Decides, and makes the folders: those of the server belong to its user and nobody else may enter them. Deciding
    /// again comes to the same. `project` goes into the name of a folder of the system, should one be needed.
    pub(super) async fn settle(folder: &Utf8Path, project: &str) -> Result<Self> {
        let user = match owner_of(&folder.join("data"))? {
            Some((0, _)) => bail!("{folder}/data belongs to root, as whom PostgreSQL does not run; move it away"),
            Some((uid, gid)) if platform::is_root() => Some(User { name: platform::user_name(uid).await, uid, gid }),
            Some((uid, _)) if uid != geteuid().as_raw() => {
                let owner = platform::user_name(uid).await;
                bail!("the database in {folder} was made by root or {owner}: go on as one of them, or move it away");
            }
            _ => default_user().await?,
        };
        let home = home(folder, project, user.as_ref()).await?;
        let link = folder.is_symlink().then(|| folder.to_owned());
        let sockets = sockets(&home, user.as_ref());
        let place = Self { home, sockets, user, link };
        for private in [&place.home.join("log"), &place.sockets] {
            place.own_folder(private)?;
        }
        Ok(place)
    }

    /// The folder that PostgreSQL stores everything in.
    pub(super) fn data(&self) -> Utf8PathBuf {
        self.home.join("data")
    }

    /// The folder that PostgreSQL writes its log into.
    pub(super) fn log(&self) -> Utf8PathBuf {
        self.home.join("log")
    }

    /// The socket's path.
    pub(super) fn socket(&self) -> Utf8PathBuf {
        self.sockets.join(SOCKET_NAME)
    }

    /// Gives a file or folder that this process made to the server's user.
    pub(super) fn hand_over(&self, path: &Utf8Path) -> Result<()> {
        match &self.user {
            Some(user) => Ok(chown(path, Some(user.uid), Some(user.gid))?),
            None => Ok(()),
        }
    }

    /// Makes a folder that only the server's user may enter. One of this name that somebody else made is refused: in
    /// /tmp anybody may have put it there.
    fn own_folder(&self, folder: &Utf8Path) -> Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.with_context(|| format!("make the folder {folder}"))?,
        }
        let meta = fs_err::symlink_metadata(folder)?;
        let uid = self.user.as_ref().map_or(geteuid().as_raw(), |user| user.uid);
        let is_ours = meta.uid() == uid || meta.uid() == geteuid().as_raw();
        ensure!(meta.is_dir() && is_ours, "{folder} is not a folder of this server's user; remove it");
        if meta.permissions().mode() & 0o777 != 0o700 {
            fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        }
        self.hand_over(folder)
    }
}

/// The user that a new server runs as: `None` is this process's.
pub(super) async fn default_user() -> Result<Option<User>> {
    if !platform::is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = platform::find_user(name).await? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it as")
}

/// The folder itself, or the one of the system that it links to.
async fn home(folder: &Utf8Path, project: &str, user: Option<&User>) -> Result<Utf8PathBuf> {
    if folder.is_symlink() && !folder.exists() {
        fs_err::remove_file(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    let home = folder.canonicalize_utf8().with_context(|| format!("resolve {folder}"))?;
    let Some(user) = user else { return Ok(home) };
    // The folder is the server's alone, and what is in it is closed; under a strict umask it would be, too.
    fs_err::set_permissions(&home, std::fs::Permissions::from_mode(0o755))?;
    if Cmd::new("test").args(["-x", home.as_str()]).dir("/").user(user.uid, user.gid).succeeds().await? {
        return Ok(home);
    }
    let name = format!("{project}-{}", short_hash(&home));
    let elsewhere = Utf8Path::new(platform::SYSTEM_STATE).join(name);
    fs_err::create_dir_all(&elsewhere)?;
    fs_err::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o755))?;
    let aside = || format!("{} may not enter {home}, and it is not empty: move it away", user.name);
    fs_err::remove_dir(&home).with_context(aside)?;
    symlink(&elsewhere, &home)?;
    Ok(elsewhere)
}

/// `<home>/run`, or a folder in /tmp where a socket's path would get too long. Not `$XDG_RUNTIME_DIR`: it ends with the
/// login, which the server outlives.
fn sockets(home: &Utf8Path, user: Option<&User>) -> Utf8PathBuf {
    let near = home.join("run");
    if near.join(SOCKET_NAME).as_str().len() <= platform::SOCKET_PATH_MAX {
        return near;
    }
    let uid = user.map_or(geteuid().as_raw(), |user| user.uid);
    Utf8PathBuf::from(format!("/tmp/xtask-postgres-{uid}-{}", short_hash(home)))
}

/// 48 bits tell apart the folders of one machine.
fn short_hash(path: &Utf8Path) -> String {
    hex::encode(&Sha256::digest(path.as_str())[..6])
}

fn owner_of(path: &Utf8Path) -> Result<Option<(u32, u32)>> {
    Ok(found(fs_err::metadata(path))?.map(|meta| (meta.uid(), meta.gid())))
}
