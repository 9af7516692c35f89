//! One private server: made, started, asked, stopped.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::data::{has_data, major_of_data, make_data};
use super::installation::{self, Installation};
use super::lockfile;
use super::place::Place;
use super::settings::{Worth, postgresql_conf};
use crate::fs::{Lock, tail};
use crate::tools::cmd::Cmd;

/// How long a start or a stop may take. A start after a crash replays at most what
/// `max_wal_size` allows, which takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of the log that an error repeats.
const TAIL: usize = 25;

/// What a server is asked to be.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The folder that is the server's alone. Beside it lies a lock file, `<folder>.lock`.
    pub folder: &'a Utf8Path,
    /// The project's name, for a folder of the system should one be needed ([`Place`]).
    pub project: &'a str,
    /// The superuser, who owns everything.
    pub role: &'a str,
    /// The superuser's password. It is set when the data is made, and not changed afterwards.
    pub password: &'a SecretString,
}

/// A private server whose data is there. It goes on running when this value is dropped.
pub struct Server {
    installation: Installation,
    place: Place,
    role: String,
    password: SecretString,
}

enum Answer {
    Ready,
    Starting,
    Refused(tokio_postgres::Error),
    Silent,
}

impl Server {
    /// The running server of this folder: its data is made if there is none, and it is started unless it runs. Whoever
    /// asks at the same time waits for the other. Data of another major version than `installation` is given its own
    /// version's programs if they are on this machine (the embedded ones are fetched).
    ///
    /// Fails when no programs fit, when the password is not the data's, and when the server is not ready within a
    /// minute; then the error ends with the server's log.
    pub async fn ensure(installation: &Installation, wanted: Wanted<'_>) -> Result<Self> {
        Self::ensure_worth(installation, wanted, Worth::Keep).await
    }

    /// The server of this folder if its data has been made, running or not; nothing is started.
    pub async fn find(installation: &Installation, wanted: Wanted<'_>) -> Result<Option<Self>> {
        if !wanted.folder.join("data").exists() {
            return Ok(None);
        }
        let place = Place::settle(wanted.folder, wanted.project).await?;
        if !has_data(&place.data())? {
            return Ok(None);
        }
        Ok(Some(Self::adopt(installation, place, wanted).await?))
    }

    pub(super) async fn ensure_worth(installation: &Installation, wanted: Wanted<'_>, worth: Worth) -> Result<Self> {
        let _turn = Lock::beside(wanted.folder, "starts the database", super::TURN).await?;
        let place = Place::settle(wanted.folder, wanted.project).await?;
        if !has_data(&place.data())? {
            make_data(installation, &place, wanted, worth).await?;
        }
        let server = Self::adopt(installation, place, wanted).await?;
        let mut answer = server.settled_answer().await?;
        if matches!(answer, Answer::Silent) {
            server.start(worth).await?;
            answer = server.settled_answer().await?;
        }
        match answer {
            Answer::Ready => Ok(server),
            Answer::Refused(error) => Err(error).with_context(|| {
                let data = server.place.data();
                let role = wanted.role;
                format!(
                    "the server of {data} refuses {role}. If the password is another one than the data was made with, put \
                     that back, or stop the server and move {data} away to begin with an empty database"
                )
            }),
            Answer::Starting | Answer::Silent => {
                bail!("the server of {} does not answer. Its log ends:\n{}", server.place.data(), server.log_tail(TAIL))
            }
        }
    }

    /// Where it lives and as whom, for summaries.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The programs that it runs by; not those asked for where its data is of another version.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The address of one of its databases for the superuser, as sqlx and libpq take it:
    /// `postgres://user:password@localhost/database?host=/folder`, percent-encoded.
    pub fn url(&self, database: &str) -> SecretString {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (role, password) = (encode(&self.role), encode(self.password.expose_secret()));
        let (database, host) = (encode(database), encode(self.place.sockets.as_str()));
        SecretString::from(format!("postgres://{role}:{password}@localhost/{database}?host={host}"))
    }

    /// A connection to one of its databases as the superuser. It ends when the client is dropped.
    pub async fn client(&self, database: &str) -> Result<Client> {
        let client = self.connect(database).await;
        client.with_context(|| format!("connect to database {database} through {}", self.place.socket()))
    }

    /// Makes a database unless it is there.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let client = self.client("postgres").await?;
        let there = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name]).await?;
        if there.is_some() {
            return Ok(());
        }
        match client.batch_execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).await {
            // Somebody else made it between the two statements, or while ours ran.
            Err(error) if matches!(error.code(), Some(&SqlState::DUPLICATE_DATABASE | &SqlState::UNIQUE_VIOLATION)) => {
                Ok(())
            }
            made => made.with_context(|| format!("create database {name}")),
        }
    }

    /// Whether it answers as PostgreSQL does.
    pub async fn is_running(&self) -> bool {
        !matches!(self.answer().await, Answer::Silent)
    }

    /// Stops it: connections are cut, what was committed stays. Nothing happens if it does not run. Fails when it has
    /// not ended after a minute.
    pub async fn stop(&self) -> Result<()> {
        self.stop_by("fast").await
    }

    pub(super) async fn stop_by(&self, mode: &str) -> Result<()> {
        if !lockfile::postmaster_lives(&self.place).await {
            return Ok(());
        }
        let stop = self.pg_ctl("stop").args(["--mode", mode]);
        match stop.run().await {
            // It was ending already.
            Err(_) if !lockfile::postmaster_lives(&self.place).await => Ok(()),
            stopped => stopped,
        }
    }

    /// The last lines of what it said, the newest last; empty when there is nothing to read.
    pub fn log_tail(&self, lines: usize) -> String {
        let entries = self.place.log().read_dir_utf8().into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, Utf8PathBuf)> = entries
            .filter_map(|entry| {
                let meta = entry.metadata().ok().filter(|meta| meta.len() > 0)?;
                Some((meta.modified().ok()?, entry.into_path()))
            })
            .collect();
        files.sort();
        files.last().and_then(|(_, file)| tail(file, lines).ok()).unwrap_or_default().join("\n")
    }

    /// With the programs of the data's own version.
    async fn adopt(installation: &Installation, place: Place, wanted: Wanted<'_>) -> Result<Self> {
        let major = major_of_data(&place.data())?;
        let installation = if installation.major == major {
            installation.clone()
        } else {
            let fitting = installation::of_major(major, place.user.as_ref()).await?;
            fitting.with_context(|| {
                let home = &place.home;
                format!(
                    "the data in {home} is of PostgreSQL {major}, and this machine has {installation}; install \
                     PostgreSQL {major}, or move {home} away to begin with an empty database"
                )
            })?
        };
        Ok(Self { installation, place, role: wanted.role.to_owned(), password: wanted.password.clone() })
    }

    async fn start(&self, worth: Worth) -> Result<()> {
        lockfile::remove_stale(&self.place).await?;
        let conf = self.place.data().join("postgresql.conf");
        fs_err::write(&conf, postgresql_conf(&self.place, worth))?;
        self.place.hand_over(&conf)?;
        // What it says before it opens its own log files; pg_ctl appends.
        let start_log = self.place.log().join("start.log");
        if start_log.exists() {
            fs_err::remove_file(&start_log)?;
        }
        let start = self.pg_ctl("start").args(["--log", start_log.as_str()]);
        start.run().await.with_context(|| format!("its log ends:\n{}", self.log_tail(TAIL)))
    }

    fn pg_ctl(&self, what: &str) -> Cmd {
        let pg_ctl = self.installation.program("pg_ctl", self.place.user.as_ref());
        let seconds = PATIENCE.as_secs().to_string();
        pg_ctl.args([what, "--silent", "--wait", "--timeout", &seconds, "--pgdata", self.place.data().as_str()])
    }

    /// What it answers once it is neither starting nor stopping.
    async fn settled_answer(&self) -> Result<Answer> {
        let begin = Instant::now();
        loop {
            match self.answer().await {
                Answer::Starting => {}
                Answer::Silent if lockfile::postmaster_lives(&self.place).await => {}
                answer => return Ok(answer),
            }
            if begin.elapsed() > PATIENCE {
                bail!("the server of {} neither answers nor ends", self.place.data());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A process id or a socket that is there proves nothing; a session does.
    async fn answer(&self) -> Answer {
        let Ok(connected) = tokio::time::timeout(Duration::from_secs(5), self.connect("postgres")).await else {
            return Answer::Starting;
        };
        let Err(error) = connected else { return Answer::Ready };
        match error.code() {
            Some(&SqlState::CANNOT_CONNECT_NOW) => Answer::Starting,
            Some(_) => Answer::Refused(error),
            None => Answer::Silent,
        }
    }

    async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.place.sockets).user(&self.role).password(self.password.expose_secret());
        config.dbname(database).application_name("xtask");
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client, which also is told of its errors.
        tokio::spawn(connection);
        Ok(client)
    }
}
