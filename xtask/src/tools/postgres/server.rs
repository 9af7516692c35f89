//! One private server: it is created, started, queried and stopped.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::data::{ServerSpec, create_data, has_data, major_of_data};
use super::installation::Installation;
use super::layout::Layout;
use super::lockfile;
use super::search;
use super::settings::{Durability, postgresql_conf};
use crate::fs::{Lock, tail};
use crate::tools::cmd::Cmd;

/// How long a start or a stop may take. After a crash, the start replays at most `max_wal_size`, which takes seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Lines of the log that an error repeats.
const TAIL: usize = 25;

/// A private server whose data exists. It runs on when this value is dropped.
pub struct Server {
    installation: Installation,
    layout: Layout,
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
    /// The running server of this folder. Creates its data and starts it if necessary; concurrent calls wait for each other.
    /// Data of another major version than `installation` runs with that version's programs, if they are installed or can be
    /// downloaded.
    ///
    /// Fails if no programs fit, if the password is wrong, or if the server is not ready within a minute. The error then has the
    /// end of the server's log.
    pub async fn ensure(installation: &Installation, spec: ServerSpec<'_>) -> Result<Self> {
        Self::ensure_with(installation, spec, Durability::Durable).await
    }

    /// The server of this folder if its data exists. Starts nothing and changes nothing, except that it may download programs of the
    /// data's version.
    pub async fn find(installation: &Installation, spec: ServerSpec<'_>) -> Result<Option<Self>> {
        let Some(layout) = Layout::find(spec.folder).await? else { return Ok(None) };
        if !has_data(&layout.data())? {
            return Ok(None);
        }
        Ok(Some(Self::adopt(installation, layout, spec).await?))
    }

    pub(super) async fn ensure_with(
        installation: &Installation,
        spec: ServerSpec<'_>,
        durability: Durability,
    ) -> Result<Self> {
        let _lock = Lock::beside(spec.folder, "starts the database", super::LOCK_TIMEOUT).await?;
        let layout = Layout::prepare(spec.folder, spec.project).await?;
        if !has_data(&layout.data())? {
            create_data(installation, &layout, spec, durability).await?;
        }
        let server = Self::adopt(installation, layout, spec).await?;
        let mut answer = server.settled_answer().await?;
        if matches!(answer, Answer::Silent) {
            server.start(durability).await?;
            answer = server.settled_answer().await?;
        }
        match answer {
            Answer::Ready => Ok(server),
            Answer::Refused(error) => Err(error).with_context(|| {
                let data = server.layout.data();
                let role = spec.role;
                format!(
                    "the server of {data} refuses {role}. If the password has changed since the data was created, restore \
                     it, or stop the server and move {data} away to begin with an empty database"
                )
            }),
            Answer::Starting | Answer::Silent => {
                bail!("the server of {} does not answer. Its log ends with:\n{}", server.layout.data(), server.log_tail(TAIL))
            }
        }
    }

    /// Its folders and user.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its programs. They have the version of its data, which may differ from the requested one.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The URL of a database for the superuser, in the format of sqlx and libpq:
    /// `postgres://user:password@localhost/database?host=/folder`, percent-encoded.
    pub fn url(&self, database: &str) -> SecretString {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (role, password) = (encode(&self.role), encode(self.password.expose_secret()));
        let (database, host) = (encode(database), encode(self.layout.sockets.as_str()));
        SecretString::from(format!("postgres://{role}:{password}@localhost/{database}?host={host}"))
    }

    /// A connection to one of its databases as the superuser. It ends when the client is dropped.
    pub async fn client(&self, database: &str) -> Result<Client> {
        let client = self.connect(database).await;
        client.with_context(|| format!("connect to database {database} through {}", self.layout.socket()))
    }

    /// Creates a database if it does not exist.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let client = self.client("postgres").await?;
        let there = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name]).await?;
        if there.is_some() {
            return Ok(());
        }
        match client.batch_execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).await {
            // Another process created it meanwhile.
            Err(error) if matches!(error.code(), Some(&SqlState::DUPLICATE_DATABASE | &SqlState::UNIQUE_VIOLATION)) => {
                Ok(())
            }
            made => made.with_context(|| format!("create database {name}")),
        }
    }

    /// Whether it accepts connections.
    pub async fn is_running(&self) -> bool {
        !matches!(self.answer().await, Answer::Silent)
    }

    /// Stops it and closes its connections. Committed data stays. Fails if it has not ended after a minute.
    pub async fn stop(&self) -> Result<()> {
        self.stop_by("fast").await
    }

    pub(super) async fn stop_by(&self, mode: &str) -> Result<()> {
        if !lockfile::postmaster_lives(&self.layout).await {
            return Ok(());
        }
        let stop = self.pg_ctl("stop").args(["--mode", mode]);
        match stop.run().await {
            // It has ended meanwhile.
            Err(_) if !lockfile::postmaster_lives(&self.layout).await => Ok(()),
            stopped => stopped,
        }
    }

    /// The last lines of its log, the newest last; empty if there is no log.
    pub fn log_tail(&self, lines: usize) -> String {
        let entries = self.layout.log().read_dir_utf8().into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, Utf8PathBuf)> = entries
            .filter_map(|entry| {
                let meta = entry.metadata().ok().filter(|meta| meta.len() > 0)?;
                Some((meta.modified().ok()?, entry.into_path()))
            })
            .collect();
        files.sort();
        files.last().and_then(|(_, file)| tail(file, lines).ok()).unwrap_or_default().join("\n")
    }

    /// Finds the programs for the version of the data.
    async fn adopt(installation: &Installation, layout: Layout, spec: ServerSpec<'_>) -> Result<Self> {
        let major = major_of_data(&layout.data())?;
        let installation = if installation.major == major {
            installation.clone()
        } else {
            let fitting = search::of_major(major, layout.user.as_ref()).await?;
            fitting.with_context(|| {
                let home = &layout.home;
                format!(
                    "the data in {home} is of PostgreSQL {major}, but this machine has {installation}; install \
                     PostgreSQL {major}, or move {home} away to begin with an empty database"
                )
            })?
        };
        Ok(Self { installation, layout, role: spec.role.to_owned(), password: spec.password.clone() })
    }

    async fn start(&self, durability: Durability) -> Result<()> {
        lockfile::remove_stale(&self.layout).await?;
        let conf = self.layout.data().join("postgresql.conf");
        fs_err::write(&conf, postgresql_conf(&self.layout, durability))?;
        self.layout.hand_over(&conf)?;
        // The server's output before it opens its own log. pg_ctl appends to it.
        let start_log = self.layout.log().join("start.log");
        if start_log.exists() {
            fs_err::remove_file(&start_log)?;
        }
        let start = self.pg_ctl("start").args(["--log", start_log.as_str()]);
        start.run().await.with_context(|| format!("its log ends with:\n{}", self.log_tail(TAIL)))
    }

    fn pg_ctl(&self, what: &str) -> Cmd {
        let pg_ctl = self.installation.program("pg_ctl", self.layout.user.as_ref());
        let seconds = TIMEOUT.as_secs().to_string();
        pg_ctl.args([what, "--silent", "--wait", "--timeout", &seconds, "--pgdata", self.layout.data().as_str()])
    }

    /// Its answer when it is neither starting nor stopping.
    async fn settled_answer(&self) -> Result<Answer> {
        let begin = Instant::now();
        loop {
            match self.answer().await {
                Answer::Starting => {}
                Answer::Silent if lockfile::postmaster_lives(&self.layout).await => {}
                answer => return Ok(answer),
            }
            if begin.elapsed() > TIMEOUT {
                bail!("the server of {} neither answers nor stops", self.layout.data());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens a session: a process id or a socket does not prove that the server runs.
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
        config.host_path(&self.layout.sockets).user(&self.role).password(self.password.expose_secret());
        config.dbname(database).application_name("xtask");
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client, which gets its errors.
        tokio::spawn(connection);
        Ok(client)
    }
}
