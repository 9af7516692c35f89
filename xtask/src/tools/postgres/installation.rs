//! PostgreSQL's programs of one version.

use camino::{Utf8Path, Utf8PathBuf};

use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::platform::{self, User};

/// The oldest supported major version, for which the project's SQL is written.
pub const OLDEST_MAJOR: u32 = 14;

/// The programs that a private server needs.
pub(super) const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The folder with initdb, pg_ctl and postgres.
    pub programs: Utf8PathBuf,
    /// The version from `postgres --version`, for example `17.6`.
    pub version: String,
    /// The major version. A data folder works with one major version only.
    pub major: u32,
    /// Whether the toolkit downloaded it.
    pub embedded: bool,
}

impl Installation {
    /// One of its programs, in English. It runs in the root folder, because its user may have no access to the current one.
    pub(super) fn program(&self, name: &str, user: Option<&User>) -> Cmd {
        let program = Cmd::new(self.programs.join(name)).dir("/").inherits(Inherited::Path).env("LC_ALL", "C");
        match user {
            Some(user) => program.user(user.uid, user.gid),
            None => program,
        }
    }

    /// Checks a folder of programs as the user that will run them. `None` if a program is missing, cannot be run by that user,
    /// or is too old.
    pub(super) async fn probe(programs: &Utf8Path, embedded: bool, user: Option<&User>) -> Option<Self> {
        if !PROGRAMS.iter().all(|program| platform::is_executable(&programs.join(program))) {
            return None;
        }
        // The PATH may have links to single programs. PostgreSQL finds its files beside the real ones.
        let postgres = programs.join("postgres").canonicalize_utf8().ok()?;
        let unknown = Self { programs: postgres.parent()?.to_owned(), version: String::new(), major: 0, embedded };
        let output = unknown.program("postgres", user).arg("--version").capture().await.ok()?;
        let (version, major) = parse_version(&output)?;
        (major >= OLDEST_MAJOR).then_some(Self { version, major, ..unknown })
    }
}

impl std::fmt::Display for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgreSQL {} in {}", self.version, self.programs)
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, also `17beta2` → (15.18, 15).
fn parse_version(output: &str) -> Option<(String, u32)> {
    let version = output.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version.to_owned(), version[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (said, version, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18", 15),
            ("postgres (PostgreSQL) 17.6", "17.6", 17),
            ("postgres (PostgreSQL) 19beta1", "19beta1", 19),
        ] {
            assert_eq!(parse_version(said), Some((version.to_owned(), major)));
        }
        assert_eq!(parse_version("postgres (EnterpriseDB) 15"), None);
    }
}
