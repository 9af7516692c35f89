//! Looks for PostgreSQL's programs: those installed on the machine, and downloaded ones.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::installation::{Installation, OLDEST_MAJOR, PROGRAMS};
use super::{embedded, layout};
use crate::tools::platform::{self, User};

/// Which programs to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Installed programs, else embedded ones.
    Auto,
    /// Installed programs only.
    Found,
    /// Embedded programs only: the same version on every machine.
    Embedded,
}

/// The programs on this machine, including embedded ones from an earlier download. Downloads nothing.
pub async fn locate(choice: Choice) -> Result<Option<Installation>> {
    let user = layout::default_user()?;
    let found = match choice {
        Choice::Auto | Choice::Found => found(user.as_ref(), |_| true).await,
        Choice::Embedded => None,
    };
    match choice {
        Choice::Auto | Choice::Embedded if found.is_none() => embedded::cached(user.as_ref()).await,
        _ => Ok(found),
    }
}

/// [`locate`], or a download of the embedded programs into the user's cache folder. `on_line` gets the progress.
pub async fn locate_or_fetch(choice: Choice, on_line: impl FnMut(&str)) -> Result<Installation> {
    match locate(choice).await? {
        Some(installation) => Ok(installation),
        None if choice == Choice::Found => {
            bail!("PostgreSQL {OLDEST_MAJOR} or newer is not installed (looked for {})", PROGRAMS.join(", "))
        }
        None => embedded::fetch_embedded(&platform::cache_folder()?, on_line).await,
    }
}

/// The programs of exactly this major version. Downloads the embedded ones if they have it.
pub(super) async fn of_major(major: u32, user: Option<&User>) -> Result<Option<Installation>> {
    if let Some(found) = found(user, |installation| installation.major == major).await {
        return Ok(Some(found));
    }
    if embedded::major() != Some(major) {
        return Ok(None);
    }
    match embedded::cached(user).await? {
        Some(cached) => Ok(Some(cached)),
        None => Ok(Some(embedded::fetch_embedded(&platform::cache_folder()?, |_| {}).await?)),
    }
}

/// The first installed version that fits and that this user can run: on the `PATH`, then the newest in the folders of Debian's,
/// Fedora's and Homebrew's packages.
async fn found(user: Option<&User>, fits: impl Fn(&Installation) -> bool) -> Option<Installation> {
    let mut packaged = Vec::new();
    for (parent, prefix, programs) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ] {
        packaged.extend(numbered(Utf8Path::new(parent), prefix).map(|(major, folder)| (major, folder.join(programs))));
    }
    packaged.sort_by_key(|(major, _)| std::cmp::Reverse(*major));

    // Links on the `PATH` point to the packages' folders, so the same program occurs twice.
    let mut seen = Vec::new();
    for folder in platform::path_folders().into_iter().chain(packaged.into_iter().map(|(_, folder)| folder)) {
        let Ok(program) = folder.join("postgres").canonicalize_utf8() else { continue };
        if seen.contains(&program) {
            continue;
        }
        seen.push(program);
        if let Some(installation) = Installation::probe(&folder, false, user).await.filter(&fits) {
            return Some(installation);
        }
    }
    None
}

/// The folders in `parent` whose names are `prefix` and a number.
fn numbered(parent: &Utf8Path, prefix: &str) -> impl Iterator<Item = (u32, Utf8PathBuf)> {
    let entries = parent.read_dir_utf8().into_iter().flatten().flatten();
    entries.filter_map(move |entry| Some((entry.file_name().strip_prefix(prefix)?.parse().ok()?, entry.into_path())))
}
