//! The folders of a private server, and the user that it runs as.
//!
//! PostgreSQL refuses to run as root. So root runs its programs as the owner of the data, else as `postgres`, else as `nobody`.
//! That user gets three folders of its own, for data, log and socket. Root changes nothing in them and opens nothing there
//! that could be a link; what the user must only read, such as the configuration, is in a folder of root's.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::geteuid;

use crate::fs::{self, Owner, found, own_folder, private_folder};
use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::platform::{self, User};
use crate::tools::reach;

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
    /// The folders of a server that was made earlier. Changes nothing.
    pub(super) fn find(folder: &Utf8Path) -> Result<Option<Self>> {
        let Some(user) = owner_of_data(folder)? else { return Ok(None) };
        let home = folder.canonicalize_utf8().with_context(|| format!("resolve {folder}"))?;
        let sockets = fs::find_socket_folder(&home.join("run"), uid(user.as_ref()))?;
        let link = folder.is_symlink().then(|| folder.to_owned());
        Ok(Some(Self { sockets: sockets.unwrap_or_else(|| home.join("run")), home, user, link }))
    }

    /// Chooses and creates the folders. Only the server's user has access to them, and [`Layout::admit`] lets others to the
    /// socket. Idempotent. `project` is part of the name of a system folder, if one is needed.
    pub(super) async fn prepare(folder: &Utf8Path, project: &str) -> Result<Self> {
        let user = match owner_of_data(folder)? {
            Some(user) => user,
            None => default_user()?,
        };
        let home = match &user {
            Some(user) => reach::passable(folder, project, user.owner()).await?,
            None => {
                private_folder(folder)?;
                folder.canonicalize_utf8().with_context(|| format!("resolve {folder}"))?
            }
        };
        let link = folder.is_symlink().then(|| folder.to_owned());
        let sockets = fs::socket_folder(&home.join("run"), uid(user.as_ref()))?;
        let layout = Self { home, sockets, user, link };
        layout.own_folder(&layout.log())?;
        let sockets = fs_err::symlink_metadata(&layout.sockets)?;
        // Unless it was opened to a group: a service that is in it connects all the time.
        if sockets.uid() != layout.uid() || sockets.mode() & 0o7067 != 0 {
            layout.own_folder(&layout.sockets)?;
        }
        Ok(layout)
    }

    /// Lets a group to the socket of a running server whose user is not this process's.
    pub(super) async fn admit(&self, gid: u32) -> Result<()> {
        let Some(Owner { uid, .. }) = self.owner() else { return Ok(()) };
        own_folder(&self.sockets, Some(Owner { uid, gid }), 0o710)?;
        let socket = self.socket();
        let there = fs_err::symlink_metadata(&socket)?;
        if (there.gid(), there.mode() & 0o777) == (gid, 0o770) {
            return Ok(());
        }
        // As the server's user, whose folder it is in: that cannot change what a link there leads to, if it is root's.
        for (program, to) in [("chgrp", gid.to_string()), ("chmod", "0770".to_owned())] {
            Cmd::new(program)
                .args([&to, socket.as_str()])
                .dir("/")
                .inherits(Inherited::Path)
                .user(uid, gid)
                .run()
                .await?;
        }
        Ok(())
    }

    /// Creates a folder that only the server's user can enter.
    pub(super) fn own_folder(&self, folder: &Utf8Path) -> Result<()> {
        Ok(own_folder(folder, self.owner(), 0o700)?)
    }

    /// The data folder.
    pub(super) fn data(&self) -> Utf8PathBuf {
        self.home.join("data")
    }

    /// The log folder.
    pub(super) fn log(&self) -> Utf8PathBuf {
        self.home.join("log")
    }

    /// The folder of its configuration, which is this process's user's.
    pub(super) fn conf(&self) -> Utf8PathBuf {
        self.home.join("conf")
    }

    /// The socket's path.
    pub(super) fn socket(&self) -> Utf8PathBuf {
        self.sockets.join(SOCKET_NAME)
    }

    /// The number of the server's user.
    pub(super) fn uid(&self) -> u32 {
        uid(self.user.as_ref())
    }

    /// The server's user and group, if they are not this process's.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.user.as_ref().map(User::owner)
    }
}

/// The user that a new server runs as; `None` is this process's user.
pub fn default_user() -> Result<Option<User>> {
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

/// The user of a server whose data exists, in the form of [`Layout::user`].
fn owner_of_data(folder: &Utf8Path) -> Result<Option<Option<User>>> {
    let Some(meta) = found(fs_err::symlink_metadata(folder.join("data")))? else { return Ok(None) };
    Ok(Some(match (meta.uid(), meta.gid()) {
        (0, _) => bail!("{folder}/data belongs to root, but PostgreSQL does not run as root; move it away"),
        (uid, gid) if platform::is_root() => Some(User { name: platform::user_name(uid), uid, gid }),
        (uid, _) if uid != geteuid().as_raw() => {
            let owner = platform::user_name(uid);
            bail!(
                "the database in {folder} belongs to {owner}; run the command as {owner} or root, or move the folder away"
            );
        }
        _ => None,
    }))
}

fn uid(user: Option<&User>) -> u32 {
    user.map_or(geteuid().as_raw(), |user| user.uid)
}
