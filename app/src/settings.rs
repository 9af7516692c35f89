//! Every environment variable of the service. They are declared and read only here.
//!
//! `app config schema` prints the declarations as `settings.json`, from which deployment files, stacks and workflows are
//! rendered. The only other variables are `LISTEN_FDS` and `LISTEN_PID` of the socket activation protocol, which the
//! `listenfd` crate reads.

mod cdn;
mod client;
mod operations;
mod presigned;
mod registry;
mod storage;
mod supabase;
#[cfg(test)]
mod tests;
mod unread;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tracing_subscriber::filter::Targets;

pub use cdn::CdnSettings;
pub use client::{api_key, service_role_key, state_folder};
pub use operations::TraceSettings;
pub use presigned::PresignedSettings;
use registry::{Kind, Registry};
pub use registry::{Problems, Schema};
pub use storage::{S3Settings, StorageBackend, StorageSettings};
pub use supabase::SupabaseSettings;
pub use unread::Unread;
use unread::unread;

/// The validated configuration. Not `Debug`, because sqlx's connection options would print the password.
#[derive(Clone)]
#[allow(missing_docs, reason = "the help of each setting is in `declare`")]
pub struct Settings {
    pub database: PgConnectOptions,
    pub host: IpAddr,
    pub port: u16,
    pub trusted_proxies: usize,
    pub service_version: String,
    pub storage: StorageSettings,
    pub jwt_secret: SecretString,
    pub bootstrap_token: SecretString,
    pub supabase: Option<SupabaseSettings>,
    pub max_upload_bytes: u64,
    pub max_pixels: u64,
    pub presigned: PresignedSettings,
    pub strip_location: bool,
    pub embedded_worker: bool,
    pub model_dir: Option<PathBuf>,
    pub static_dir: Option<PathBuf>,
    pub metrics: Option<SocketAddr>,
    pub traces: Option<TraceSettings>,
    pub log_format: LogFormat,
    pub log_level: Targets,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For a terminal.
    Pretty,
}

impl Settings {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// All missing and invalid variables together, without the values of secrets.
    pub fn from_env() -> Result<Self, Problems> {
        Self::from_vars(environment())
    }

    /// Reads the environment of the process, with another storage backend than it names.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_env_with(backend: StorageBackend) -> Result<Self, Problems> {
        let name = match backend {
            StorageBackend::Local => "local",
            StorageBackend::S3 => "s3",
        };
        Self::from_vars(environment().chain([("STORAGE_BACKEND".to_owned(), name.to_owned())]))
    }

    /// Reads the given variables.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        let mut registry = Registry::new(vars.into_iter().collect());
        let settings = Self::declare(&mut registry);
        registry.finish(settings)
    }

    /// The variables of the process that are probably misspelt settings.
    pub fn unread() -> Vec<Unread> {
        unread(&Self::schema(), environment().map(|(name, _)| name))
    }

    /// The declarations, as `app config schema` prints them.
    pub fn schema() -> Schema {
        let mut registry = Registry::new(HashMap::new());
        Self::declare(&mut registry);
        registry.schema()
    }

    /// Evaluates every declaration, even after one has failed, so that all problems are reported together.
    fn declare(registry: &mut Registry) -> Option<Self> {
        let database = registry
            .setting("DATABASE_URL", Kind::Url, "PostgreSQL connection URL, such as postgres://user:password@host:5432/name or, for a Unix socket, postgres://user:password@localhost/name?host=/run/postgresql")
            .secret()
            .supplied_by("postgres")
            .required(database_url);
        // It is no secret, but platforms take only secrets of this length.
        let database_ca = registry
            .setting(
                "DATABASE_CA",
                Kind::Text,
                "Certificate of the authority that issued the database's, in PEM; with it, the connection is encrypted and verified (sslmode=verify-full)",
            )
            .secret()
            .optional(certificate);
        let host = registry
            .setting("HOST", Kind::Text, "IP address to listen on, unless LISTEN_FDS passes a socket")
            .supplied_by("host")
            .or("127.0.0.1", |text| text.parse().map_err(|_| "an IP address such as 127.0.0.1, 0.0.0.0 or ::"));
        let port = registry
            .setting(
                "PORT",
                Kind::Port,
                "TCP port to listen on, unless LISTEN_FDS passes a socket; 0 picks a free port",
            )
            .supplied_by("port")
            .or("3000", |text| text.parse().map_err(|_| "a port from 0 to 65535"));
        let trusted_proxies = registry
            .setting(
                "TRUSTED_PROXIES",
                Kind::Integer,
                "Number of proxies in front of the service that each add the address of their client to X-Forwarded-For; with 0, the address of the connection is the client's",
            )
            .or("0", |text| text.parse().ok().filter(|count| *count <= 10).ok_or("a number from 0 to 10"));
        let service_version = registry
            .setting(
                "SERVICE_VERSION",
                Kind::Text,
                "Version of the release, shown by the readiness endpoint and the logs",
            )
            .supplied_by("version")
            .or("unversioned", version);
        let storage = StorageSettings::declare(registry);
        let jwt_secret = registry
            .setting(
                "JWT_SECRET",
                Kind::Text,
                "Key that signs log-in tokens, at least 32 characters; changing it logs out all users",
            )
            .secret()
            .supplied_by("random")
            .required(secret);
        let bootstrap_token = registry
            .setting(
                "BOOTSTRAP_TOKEN",
                Kind::Text,
                "Token required to register the first account, at least 32 characters; unused once that account exists",
            )
            .secret()
            .supplied_by("random")
            .required(secret);
        let supabase = supabase::supabase(registry);
        let max_upload_bytes = registry
            .setting("MAX_UPLOAD_BYTES", Kind::Integer, "Maximum size of an uploaded file, in bytes")
            .or("10485760", |text| positive(text, "a number of bytes, at least 1"));
        let max_pixels = registry
            .setting("MAX_PIXELS", Kind::Integer, "Maximum size of an image, in pixels (width times height)")
            .or("40000000", |text| positive(text, "a number of pixels, at least 1"));
        let presigned = PresignedSettings::declare(registry);
        let strip_location = registry
            .setting(
                "STRIP_LOCATION",
                Kind::Choice(&["on", "off"]),
                "on: what others download does not tell where a picture was taken; the uploader's original is kept",
            )
            .or("on", switch);
        let embedded_worker = registry
            .setting(
                "EMBEDDED_WORKER",
                Kind::Choice(&["on", "off"]),
                "on: the service processes uploads itself; off: only processes of the command `worker` do",
            )
            .or("on", switch);
        let model_dir = registry
            .setting(
                "MODEL_DIR",
                Kind::Path,
                "Folder of Tesseract's models for OCR, eng.traineddata and fin.traineddata; by default those that its packages install",
            )
            .optional(|text| Ok(PathBuf::from(text)));
        let static_dir = registry
            .setting(
                "STATIC_DIR",
                Kind::Path,
                "Folder of the built web UI; without it, the service has a page with the first commands instead",
            )
            .supplied_by("web-folder")
            .optional(|text| Ok(PathBuf::from(text)));
        let metrics = operations::metrics(registry, port);
        let traces = operations::traces(registry);
        let log_format = registry
            .setting(
                "LOG_FORMAT",
                Kind::Choice(&["json", "pretty"]),
                "Log format: json (one object per line) or pretty (for a terminal)",
            )
            .or("json", |text| match text {
                "json" => Ok(LogFormat::Json),
                "pretty" => Ok(LogFormat::Pretty),
                _ => Err("json or pretty"),
            });
        let log_level = registry
            .setting("LOG_LEVEL", Kind::Text, "Log level, or levels by module, such as info,app=debug")
            .or("info", |text| {
                Targets::from_str(text).map_err(|_| "error, warn, info, debug, trace or off, or module=level pairs")
            });

        Some(Self {
            database: verified_by(database?, database_ca?),
            host: host?,
            port: port?,
            trusted_proxies: trusted_proxies?,
            service_version: service_version?,
            storage: storage?,
            jwt_secret: jwt_secret?,
            bootstrap_token: bootstrap_token?,
            supabase: supabase?,
            max_upload_bytes: max_upload_bytes?,
            max_pixels: max_pixels?,
            presigned: presigned?,
            strip_location: strip_location?,
            embedded_worker: embedded_worker?,
            model_dir: model_dir?,
            static_dir: static_dir?,
            metrics: metrics?,
            traces: traces?,
            log_format: log_format?,
            log_level: log_level?,
        })
    }
}

/// A name that is not Unicode is no setting; a value that is not Unicode fails the validation of its setting.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

fn database_url(text: &str) -> Result<PgConnectOptions, &'static str> {
    let expected = "postgres://user:password@host:port/database";
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(expected);
    }
    // PgBouncer refuses a connection with this parameter, whose default is precise enough since PostgreSQL 12.
    let options = PgConnectOptions::from_str(text).map_err(|_| expected)?.extra_float_digits(None::<i8>);
    // There, each transaction may have another connection: no prepared statement, lock of a session or notification outlives it.
    let is_supabase = [".supabase.co", ".supabase.com"].iter().any(|domain| options.get_host().ends_with(domain));
    if is_supabase && options.get_port() == 6543 {
        return Err(
            "Supabase's direct connection or its session pooler, port 5432; port 6543 is the transaction pooler, which keeps no prepared statements",
        );
    }
    Ok(options)
}

fn certificate(text: &str) -> Result<Vec<u8>, &'static str> {
    let is_one = CertificateDer::from_pem_slice(text.as_bytes()).is_ok();
    is_one.then(|| text.as_bytes().to_vec()).ok_or("a certificate in PEM: -----BEGIN CERTIFICATE-----")
}

fn verified_by(database: PgConnectOptions, authority: Option<Vec<u8>>) -> PgConnectOptions {
    match authority {
        Some(authority) => database.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(authority),
        None => database,
    }
}

fn secret(text: &str) -> Result<SecretString, &'static str> {
    if text.chars().count() < 32 { Err("at least 32 characters") } else { Ok(SecretString::from(text)) }
}

fn version(text: &str) -> Result<String, &'static str> {
    let fits = text.len() <= 128 && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or("1 to 128 visible ASCII characters")
}

fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off"),
    }
}

fn positive(text: &str, expected: &'static str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or(expected)
}
