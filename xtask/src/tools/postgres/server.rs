//! One private server: it is created, started, queried and stopped.

use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
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
use crate::fs::{Lock, Owner, found, open_of, own_folder, private_folder, replace_file, tail_of};
use crate::tools::cmd::Cmd;

/// How long a start or a stop may take. After a crash, the start replays at most `max_wal_size`, which takes seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Lines of the log that an error repeats.
const TAIL: usize = 25;

/// The database that every server has, for what concerns the server.
pub(super) const MAINTENANCE: &str = "postgres";

/// A private server whose data exists. It runs on when this value is dropped.
pub struct Server {
    installation: Installation,
    layout: Layout,
    pub(super) role: String,
    pub(super) password: SecretString,
    /// The connection that showed that it is ready, for the next one who asks for the same: proving the password costs both
    /// sides thousands of hashes.
    open: Mutex<Option<Client>>,
}

enum Answer {
    Ready(Client),
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
        let Some(layout) = Layout::find(spec.folder)? else { return Ok(None) };
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
        if lockfile::listens_elsewhere(&server.layout).await {
            server.stop().await?;
        }
        let mut answer = server.settled_answer().await?;
        if matches!(answer, Answer::Silent) {
            server.start(durability).await?;
            answer = server.settled_answer().await?;
        }
        match answer {
            Answer::Ready(client) => Ok(Self { open: Mutex::new(Some(client)), ..server }),
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
        self.url_for(&self.role, &self.password, database)
    }

    pub(super) fn url_for(&self, role: &str, password: &SecretString, database: &str) -> SecretString {
        self.url_at(role, password, database, &self.layout.sockets)
    }

    pub(super) fn url_at(
        &self,
        role: &str,
        password: &SecretString,
        database: &str,
        sockets: &Utf8Path,
    ) -> SecretString {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (role, password) = (encode(role), encode(password.expose_secret()));
        let (database, host) = (encode(database), encode(sockets.as_str()));
        SecretString::from(format!("postgres://{role}:{password}@localhost/{database}?host={host}"))
    }

    /// A connection to one of its databases as the superuser. It ends when the client is dropped.
    pub async fn client(&self, database: &str) -> Result<Client> {
        if database == MAINTENANCE
            && let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).take()
            && !open.is_closed()
        {
            return Ok(open);
        }
        let client = self.connect(database).await;
        client.with_context(|| format!("connect to database {database} through {}", self.layout.socket()))
    }

    /// Lets the processes of a group connect, where the server runs as another user than this process.
    pub async fn admit(&self, gid: u32) -> Result<()> {
        self.layout.admit(gid).await
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

    /// The last lines of its log, the newest last; empty if there is no log. They are the server's user's, so no link is
    /// followed to what that user may not read.
    pub fn log_tail(&self, lines: usize) -> String {
        let entries = self.layout.log().read_dir_utf8().into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, Utf8PathBuf)> = entries
            .filter_map(|entry| {
                let meta = entry.metadata().ok().filter(|meta| meta.is_file() && meta.len() > 0)?;
                Some((meta.modified().ok()?, entry.into_path()))
            })
            .collect();
        files.sort();
        let read = |file: &Utf8PathBuf| open_of(file, self.layout.uid()).and_then(|file| tail_of(file, lines)).ok();
        files.iter().rev().find_map(|(_, file)| read(file)).unwrap_or_default().join("\n")
    }

    /// Finds the programs for the version of the data.
    async fn adopt(installation: &Installation, layout: Layout, spec: ServerSpec<'_>) -> Result<Self> {
        let major = major_of_data(&layout)?;
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
        Ok(Self {
            installation,
            layout,
            role: spec.role.to_owned(),
            password: spec.password.clone(),
            open: Mutex::default(),
        })
    }

    async fn start(&self, durability: Durability) -> Result<()> {
        lockfile::remove_stale(&self.layout).await?;
        let conf = self.write_conf(durability)?;
        // The server's output before it opens its own log. pg_ctl appends to it.
        let start_log = self.layout.log().join("start.log");
        found(fs_err::remove_file(&start_log))?;
        // pg_ctl passes the options to a shell.
        let conf = format!("-c config_file={}", shlex::try_quote(conf.as_str()).context("name its configuration")?);
        let start = self.pg_ctl("start").args(["--log", start_log.as_str(), "--options", &conf]);
        start.run().await.with_context(|| format!("its log ends with:\n{}", self.log_tail(TAIL)))
    }

    /// The file is this process's user's, and only the server's group may read it.
    fn write_conf(&self, durability: Durability) -> Result<Utf8PathBuf> {
        let (folder, conf) = (self.layout.conf(), self.layout.conf().join("postgresql.conf"));
        private_folder(&folder)?;
        replace_file(&conf, postgresql_conf(&self.layout, durability).as_bytes())?;
        if let Some(Owner { gid, .. }) = self.layout.owner() {
            let this = Owner { uid: rustix::process::geteuid().as_raw(), gid };
            let file = fs_err::File::open(&conf)?;
            fchown(&file, None, Some(gid))?;
            file.set_permissions(std::fs::Permissions::from_mode(0o640))?;
            own_folder(&folder, Some(this), 0o750)?;
        }
        Ok(conf)
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
        let Ok(connected) = tokio::time::timeout(Duration::from_secs(5), self.connect(MAINTENANCE)).await else {
            return Answer::Starting;
        };
        let error = match connected {
            Ok(client) => return Answer::Ready(client),
            Err(error) => error,
        };
        match error.code() {
            Some(&SqlState::CANNOT_CONNECT_NOW) => Answer::Starting,
            Some(_) => Answer::Refused(error),
            None => Answer::Silent,
        }
    }

    async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        self.connect_as(&self.role, &self.password, database).await
    }

    pub(super) async fn connect_as(
        &self,
        role: &str,
        password: &SecretString,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.layout.sockets).user(role).password(password.expose_secret());
        config.dbname(database).application_name("xtask");
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client, which gets its errors.
        tokio::spawn(connection);
        Ok(client)
    }
}
