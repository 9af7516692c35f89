//! The user that the service runs as. Root's service would hold everything of root's, so it gets a user of its own.
//!
//! That user is a number without an account, as with systemd's `DynamicUser` and on OpenShift. `nobody` would not do: other
//! daemons run as `nobody`, PostgreSQL does where it has no account, and so would the services of all other environments.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::geteuid;
use secrecy::ExposeSecret as _;

use super::{Local, releases};
use crate::check::Check;
use crate::config::SuppliedBy;
use crate::fs::{Owner, found, give_folder, own_folder, private_folder};
use crate::hash::sha256;
use crate::settings::{self, Origin};
use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::{platform, reach};

/// Numbers that neither systemd, nor distributions, nor tools for accounts and containers give away
/// (systemd.io/UIDS-GIDS), and that exist in a container, too.
const NUMBERS: std::ops::RangeInclusive<u32> = 60_578..=61_183;

impl Local<'_> {
    /// The user of the service; none where it is this process's: because that is not root, or because root can be no other user
    /// here.
    pub(super) async fn account(&self) -> Result<Option<Owner>> {
        self.account.get_or_try_init(|| self.find_account()).await.copied()
    }

    /// Makes the environment's folder, and closes what is in it whatever it was open to: an earlier toolkit made it in the
    /// modes of the process's umask. Root's may be passed, by the users of the service and of PostgreSQL.
    pub(super) fn close_folders(&self) -> Result<()> {
        for folder in [&self.env.root().join(".deploy"), &self.folder] {
            private_folder(folder)?;
            let meta = fs_err::metadata(folder)?;
            if platform::is_root() && meta.uid() == 0 {
                fs_err::set_permissions(folder, Permissions::from_mode(meta.mode() & 0o700 | 0o011))?;
            }
        }
        for name in ["bin", "logs", "records"] {
            let folder = self.folder.join(name);
            if found(fs_err::symlink_metadata(&folder))?.is_some_and(|meta| meta.uid() == geteuid().as_raw()) {
                own_folder(&folder, None, 0o700)?;
            }
        }
        Ok(())
    }

    /// Says as which user the service runs.
    pub(super) async fn check_account(&self) -> Check {
        match self.account().await {
            Ok(None) if self.images.is_some() => Check::good("user", "the image says as which user the service runs"),
            Ok(None) if platform::is_root() => Check::doubtful(
                "user",
                "the service runs as root, because root cannot become another user on this machine; deploy as an ordinary user",
            ),
            Ok(None) => Check::good("user", "the service runs as this user"),
            Ok(Some(Owner { uid, .. })) => Check::good("user", format!("the service runs as user {uid}")),
            Err(error) => Check::bad("user", format!("{error:#}"), format!("mv {} elsewhere", self.data_folders())),
        }
    }

    /// The folders that the user has chosen for the service's data, where its user may not write: nothing there was changed.
    pub(super) async fn check_own_folders(&self) -> Result<Vec<Check>> {
        let (Some(owner), Ok(table)) = (self.account().await?, settings::table(self.env)) else {
            return Ok(Vec::new());
        };
        let mut checks = Vec::new();
        for setting in table.settings {
            let (Some(SuppliedBy::DataFolder(_)), name) = (&setting.supplied_by, &setting.name) else { continue };
            let path = match settings::origin(self.env, &setting)? {
                Origin::Config(path) => path,
                Origin::File(path) | Origin::Process(path) => path.expose_secret().to_owned(),
                _ => continue,
            };
            let Owner { uid, gid } = owner;
            let path = self.env.root().join(path);
            let look = Cmd::new("test").args(["-w", path.as_str()]).dir("/").inherits(Inherited::Path).user(uid, gid);
            if path.exists() && !look.succeeds().await? {
                let found = format!("{name} is {path}, and the service's user {uid} may not write there");
                checks.push(Check::bad("user", found, format!("chown -R {uid}:{gid} {path}")));
            }
        }
        Ok(checks)
    }

    /// The folder of a release as its user reaches it.
    pub(super) async fn release_folder(&self, version: &str) -> Result<Utf8PathBuf> {
        let Some(owner) = self.account().await? else { return Ok(self.releases().join(version)) };
        let home = reach::passable(&self.releases(), &self.env.config.project, owner).await?;
        releases::open_to(&home, owner.gid)?;
        Ok(home.join(version))
    }

    /// One of the service's folders, made where it is missing, as the service reaches it.
    pub(super) async fn data_folder(&self, name: &str) -> Result<Utf8PathBuf> {
        let (folders, account) = (self.data_folders(), self.account().await?);
        let home = match account {
            Some(owner) => reach::passable(&folders, &self.env.config.project, owner).await?,
            None => {
                private_folder(&folders)?;
                folders
            }
        };
        let folder = home.join(name);
        // What root's service has made is given to its new user before that starts, and until then root's runs on.
        if found(fs_err::symlink_metadata(&folder))?.is_none() {
            own_folder(&folder, account, 0o700)?;
        }
        Ok(folder)
    }

    /// Gives the service's folders to its user, if an earlier deploy made them for root. No process of the service may run.
    pub(super) fn give_data(&self, owner: Owner) -> Result<()> {
        let Some(folders) = found(self.data_folders().read_dir_utf8())? else { return Ok(()) };
        for entry in folders {
            let folder = entry?.into_path();
            let meta = fs_err::symlink_metadata(&folder)?;
            // A link is of the person who made it, for example to another disk.
            if !meta.is_dir() {
                continue;
            }
            if meta.uid() != owner.uid {
                give_folder(&folder, owner)?;
            }
            own_folder(&folder, Some(owner), 0o700)?;
        }
        Ok(())
    }

    pub(super) fn data_folders(&self) -> Utf8PathBuf {
        self.folder.join("data")
    }

    async fn find_account(&self) -> Result<Option<Owner>> {
        if self.images.is_some() || !platform::is_root() || !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let owner = match owner_of_data(&self.data_folders())? {
            Some(owner) => owner,
            None => unused(&self.folder)?,
        };
        // In a container, root may be allowed to become few users or none.
        let can = Cmd::new("true")
            .dir("/")
            .inherits(Inherited::Path)
            .user(owner.uid, owner.gid)
            .succeeds()
            .await
            .unwrap_or(false);
        Ok(can.then_some(owner))
    }
}

/// Who owns the service's folders, if that is not root.
fn owner_of_data(folders: &Utf8Path) -> Result<Option<Owner>> {
    let entries = match folders.read_dir_utf8() {
        Ok(entries) => entries,
        // A file is where a folder belongs, and another check says so.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let meta = entry?.metadata()?;
        if meta.is_dir() && meta.uid() != 0 {
            return Ok(Some(Owner { uid: meta.uid(), gid: meta.gid() }));
        }
    }
    Ok(None)
}

/// A number that no account has, and no other environment by chance.
fn unused(folder: &Utf8Path) -> Result<Owner> {
    let count = u64::from(NUMBERS.end() - NUMBERS.start() + 1);
    let hash = u64::from_str_radix(&sha256(folder.as_str().as_bytes())[..12], 16)?;
    for step in 0..count {
        let number = NUMBERS.start() + u32::try_from((hash + step) % count)?;
        if !platform::has_account(number)? {
            return Ok(Owner { uid: number, gid: number });
        }
    }
    bail!(
        "every user from {} to {} has an account, and the service needs a number without one",
        NUMBERS.start(),
        NUMBERS.end()
    )
}
