//! Starts a database and a service for a test.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    str::FromStr,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, multipart};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::sync::oneshot;

pub(crate) const BOOTSTRAP_TOKEN: &str = "sentinel-bootstrap-token-0123456789abcdef";
pub(crate) const JWT_SECRET: &str = "sentinel-jwt-secret-0123456789abcdef0123";
pub(crate) const PASSWORD: &str = "sentinel password of the tests";

/// How long a test waits for an expected event; generous, for busy machines.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);

/// A database that is dropped with this value.
pub(crate) struct Database {
    pub(crate) url: String,
    server: PgConnectOptions,
    name: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let url = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL is not set: `cargo xtask test` starts a PostgreSQL server and sets it");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("test_{}", ulid::Ulid::new().to_string().to_lowercase());
        let mut connection = PgConnection::connect_with(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        Self { url: server.clone().database(&name).to_url_lossy().to_string(), server, name }
    }

    pub(crate) async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop_it = sqlx::AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let server = self.server.clone();
        // A new runtime, because `drop` may run on a thread of the test's runtime.
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let mut connection = PgConnection::connect_with(&server).await?;
                sqlx::raw_sql(drop_it).execute(&mut connection).await
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("cannot drop a test database: {error}");
        }
    }
}

/// Builds the environment of a service.
pub(crate) struct Setup {
    pub(crate) vars: HashMap<&'static str, String>,
    listener: Option<std::net::TcpListener>,
    /// How many files it may have open.
    files: Option<u32>,
}

impl Setup {
    pub(crate) fn new(database_url: &str, uploads: &Path) -> Self {
        let vars = [
            ("DATABASE_URL", database_url),
            ("UPLOAD_DIR", uploads.to_str().unwrap()),
            ("JWT_SECRET", JWT_SECRET),
            ("BOOTSTRAP_TOKEN", BOOTSTRAP_TOKEN),
            ("SERVICE_VERSION", "test"),
            ("PORT", "0"),
        ];
        Self {
            vars: vars.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
            listener: None,
            files: None,
        }
    }

    pub(crate) fn var(mut self, name: &'static str, value: impl ToString) -> Self {
        self.vars.insert(name, value.to_string());
        self
    }

    /// Passes a listening socket through LISTEN_FDS.
    pub(crate) fn listener(mut self, listener: &std::net::TcpListener) -> Self {
        self.listener = Some(listener.try_clone().unwrap());
        self
    }

    /// Limits how many files the process may have open.
    pub(crate) fn files(self, files: u32) -> Self {
        Self { files: Some(files), ..self }
    }

    pub(crate) fn command(&self) -> Command {
        let app = env!("CARGO_BIN_EXE_app");
        let mut command = match self.files {
            None => Command::new(app),
            Some(files) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), app]);
                shell
            }
        };
        command.env_clear().envs(&self.vars);
        command
    }

    /// Starts the service without waiting until it listens.
    pub(crate) fn spawn(self) -> Process {
        self.spawn_command("serve")
    }

    /// Starts a command that runs until a signal.
    pub(crate) fn spawn_command(mut self, name: &str) -> Process {
        use command_fds::{CommandFdExt, FdMapping};
        let mut command = self.command();
        command.arg(name).stderr(Stdio::piped());
        if let Some(listener) = self.listener.take() {
            command.env("LISTEN_FDS", "1");
            command.fd_mappings(vec![FdMapping { parent_fd: listener.into(), child_fd: 3 }]).unwrap();
        }
        Process::start(command)
    }

    /// Starts the service and waits until it listens.
    pub(crate) async fn start(self) -> Process {
        let mut process = self.spawn();
        process.listening().await;
        process
    }
}

/// A running service; killed on drop.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    ready: Option<oneshot::Receiver<String>>,
    pub(crate) address: String,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (lines, log) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::new(Mutex::new(Vec::new())));
        let (sender, ready) = oneshot::channel();
        let mut sender = Some(sender);
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                writer.lock().unwrap().push(line);
                if event["message"] == "listening" {
                    let address = event["address"].as_str().unwrap().to_owned();
                    // Fails if the test does not wait for the address.
                    sender.take().map(|sender| sender.send(address));
                }
            }
        });
        Self { child, log, ready: Some(ready), address: String::new() }
    }

    /// Waits until the service accepts connections.
    pub(crate) async fn listening(&mut self) {
        let Some(ready) = self.ready.take() else { return };
        let address = tokio::time::timeout(TIMEOUT, ready).await.ok().and_then(Result::ok);
        self.address = address.unwrap_or_else(|| panic!("the service did not start: {:#?}", self.log()));
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log with this message.
    pub(crate) async fn logged(&self, message: &str) -> Value {
        let find = || {
            let lines = self.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
            lines.into_iter().find(|line| line["message"] == message)
        };
        eventually(message, async || find().is_some()).await;
        find().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits until the process exits.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the service does not exit: {:#?}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
        if std::thread::panicking() {
            eprintln!("the service's log: {:#?}", self.log());
        }
    }
}

/// A running service with its database and upload folder, and a client for it.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) token: String,
    pub(crate) pool: PgPool,
    // The last field, so that it is dropped after the process and the pool that use it.
    pub(crate) database: Database,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(|setup| setup).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
        let process = change(Setup::new(&database.url, folder.path())).start().await;
        Self { process, folder, token: String::new(), pool: database.pool().await, database }
    }

    /// Starts a service, registers the first account and keeps its token.
    pub(crate) async fn signed_in() -> Self {
        Self::start().await.sign_in().await
    }

    pub(crate) async fn sign_in(mut self) -> Self {
        let response = self.register("first").await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let body: Value = response.json().await.unwrap();
        self.token = body["token"].as_str().unwrap().to_owned();
        self
    }

    pub(crate) async fn register(&self, username: &str) -> Response {
        let body = json!({ "username": username, "password": PASSWORD, "bootstrap_token": BOOTSTRAP_TOKEN });
        self.request(Method::POST, "/api/auth/register").json(&body).send().await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = CLIENT.request(method, format!("http://{}{path}", self.process.address));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) async fn change(&self, id: &str, change: &Value) -> Response {
        self.request(Method::PATCH, &format!("/api/media/{id}")).json(change).send().await.unwrap()
    }

    /// Moves a media to the trash.
    pub(crate) async fn delete(&self, id: &str) {
        let response = self.request(Method::DELETE, &format!("/api/media/{id}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }

    /// Kills the service and starts it again.
    pub(crate) async fn restart(mut self) -> Self {
        self.process.signal("-KILL");
        self.process.ended().await;
        self.process = Setup::new(&self.database.url, self.folder.path()).start().await;
        self
    }

    pub(crate) async fn upload(&self, bytes: &[u8], file_name: &str, mime_type: &str) -> (StatusCode, Value) {
        let part = multipart::Part::bytes(bytes.to_vec()).file_name(file_name.to_owned()).mime_str(mime_type).unwrap();
        self.upload_form(multipart::Form::new().part("file", part)).await
    }

    pub(crate) async fn upload_form(&self, form: multipart::Form) -> (StatusCode, Value) {
        let response = self.request(Method::POST, "/api/media").multipart(form).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// All stored files, and those that are being received.
    pub(crate) fn stored(&self) -> Vec<PathBuf> {
        files_below(self.folder.path())
    }

    /// The files that are being received.
    pub(crate) fn received(&self) -> Vec<PathBuf> {
        files_below(&self.folder.path().join("incoming"))
    }

    pub(crate) async fn rows(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM media").fetch_one(&self.pool).await.unwrap()
    }

    /// Asserts that the disk and the table contain nothing of an upload.
    pub(crate) async fn assert_nothing_stored(&self, case: &str) {
        assert_eq!(self.stored(), Vec::<PathBuf>::new(), "{case}: on disk");
        assert_eq!(self.rows().await, 0, "{case}: in the table");
    }
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition().await {
        assert!(Instant::now() < deadline, "timeout: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // Ignores files that are deleted in the meantime.
    for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files_below(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

pub(crate) static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    // reqwest requires a TLS provider even for plain HTTP.
    rustls::crypto::ring::default_provider().install_default().unwrap();
    Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
});
