//! Every environment variable of the service: declared here once, read nowhere else.
//!
//! One declaration gives the parsed value, the problem report of a bad environment and the entry in `settings.json`,
//! the table from which deployment files, stacks and workflows are made. (The only others that the process looks at
//! are `LISTEN_FDS` and `LISTEN_PID`, the socket activation protocol, which the `listenfd` crate reads.)

mod sheet;

use std::{collections::HashMap, net::IpAddr, path::PathBuf, str::FromStr};

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::filter::Targets;

pub use sheet::{Entry, Problem, Problems, Schema};
use sheet::{Kind, Sheet};

/// The service's configuration, complete and checked. Not `Debug`: sqlx's options would print the password.
#[derive(Clone)]
pub struct Settings {
    /// How to reach the database.
    pub database: PgConnectOptions,
    /// The address to listen on when no socket is handed over.
    pub host: IpAddr,
    /// The TCP port to listen on when no socket is handed over; 0 lets the system choose.
    pub port: u16,
    /// What readiness and the logs call this release.
    pub service_version: String,
    /// Where originals and thumbnails are kept.
    pub storage: StorageSettings,
    /// The key that signs log-in tokens.
    pub jwt_secret: SecretString,
    /// What the first account must show.
    pub bootstrap_token: SecretString,
    /// The largest accepted file, in bytes.
    pub max_upload_bytes: u64,
    /// The largest accepted picture, in pixels.
    pub max_pixels: u64,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: Targets,
}

/// Where media is stored.
#[derive(Clone, Debug)]
pub enum StorageSettings {
    /// A folder of this machine.
    Local {
        /// The folder; made when it does not exist.
        upload_dir: PathBuf,
    },
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Pretty,
}

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// Every missing and every bad variable, all at once, without any secret's value.
    pub fn from_env() -> Result<Self, Problems> {
        // A name or value that is not Unicode belongs to nobody here or fails its own variable's check below.
        Self::from_vars(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))),
        )
    }

    /// Reads the given variables, for tests and for [`Settings::from_env`].
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        let mut sheet = Sheet::new(vars.into_iter().collect());
        let settings = Self::declare(&mut sheet);
        sheet.finish(settings)
    }

    /// The table that `app config schema` prints.
    pub fn schema() -> Schema {
        let mut sheet = Sheet::new(HashMap::new());
        Self::declare(&mut sheet);
        sheet.schema()
    }

    /// The declarations. Each is made whatever became of the others, so that all problems come out together.
    fn declare(sheet: &mut Sheet) -> Option<Self> {
        let database = sheet
            .setting("DATABASE_URL", Kind::Url, "PostgreSQL, for example postgres://user:password@host:5432/name. A Unix socket: postgres://user:password@localhost/name?host=/run/postgresql")
            .secret()
            .supplied_by("postgres")
            .required(database_url);
        let host = sheet
            .setting("HOST", Kind::Text, "The IP address to listen on when no socket is handed over by LISTEN_FDS")
            .supplied_by("host")
            .or("127.0.0.1", |text| text.parse().map_err(|_| "an IP address such as 127.0.0.1, 0.0.0.0 or ::"));
        let port = sheet
            .setting(
                "PORT",
                Kind::Port,
                "The TCP port to listen on when no socket is handed over by LISTEN_FDS; 0 lets the system choose",
            )
            .supplied_by("port")
            .or("3000", |text| text.parse().map_err(|_| "a port from 0 to 65535"));
        let service_version = sheet
            .setting("SERVICE_VERSION", Kind::Text, "The release that runs, as readiness and the logs report it")
            .supplied_by("version")
            .or("unversioned", short_word);
        sheet
            .setting("STORAGE_BACKEND", Kind::Choice(&["local"]), "Where media is stored: a folder of this machine")
            .or("local", |text| (text == "local").then_some(()).ok_or("local"));
        let upload_dir = sheet
            .setting("UPLOAD_DIR", Kind::Path, "The folder for originals and thumbnails; it must outlive releases")
            .supplied_by("data-folder:uploads")
            .required(|text| Ok(PathBuf::from(text)));
        let jwt_secret = sheet
            .setting(
                "JWT_SECRET",
                Kind::Text,
                "The key that signs log-in tokens, at least 32 characters; a new one signs everybody out",
            )
            .secret()
            .supplied_by("random")
            .required(long_secret);
        let bootstrap_token = sheet
            .setting(
                "BOOTSTRAP_TOKEN",
                Kind::Text,
                "What the first account must show, at least 32 characters; of no use once that account exists",
            )
            .secret()
            .supplied_by("random")
            .required(long_secret);
        let max_upload_bytes = sheet
            .setting("MAX_UPLOAD_BYTES", Kind::Integer, "The largest accepted file, in bytes")
            .or("10485760", |text| above_zero(text, "a number of bytes, at least 1"));
        let max_pixels = sheet
            .setting("MAX_PIXELS", Kind::Integer, "The largest accepted picture, in pixels (width times height)")
            .or("40000000", |text| above_zero(text, "a number of pixels, at least 1"));
        let log_format = sheet
            .setting("LOG_FORMAT", Kind::Choice(&["json", "pretty"]), "One JSON object a line, or lines for people")
            .or("json", |text| match text {
                "json" => Ok(LogFormat::Json),
                "pretty" => Ok(LogFormat::Pretty),
                _ => Err("json or pretty"),
            });
        let log_level = sheet
            .setting(
                "LOG_LEVEL",
                Kind::Text,
                "Which log lines are written: a level, or levels by module such as info,app=debug",
            )
            .or("info", |text| {
                Targets::from_str(text).map_err(|_| "error, warn, info, debug, trace or off, or module=level pairs")
            });

        Some(Self {
            database: database?,
            host: host?,
            port: port?,
            service_version: service_version?,
            storage: StorageSettings::Local { upload_dir: upload_dir? },
            jwt_secret: jwt_secret?,
            bootstrap_token: bootstrap_token?,
            max_upload_bytes: max_upload_bytes?,
            max_pixels: max_pixels?,
            log_format: log_format?,
            log_level: log_level?,
        })
    }
}

fn database_url(text: &str) -> Result<PgConnectOptions, &'static str> {
    let expected = "postgres://user:password@host:port/database";
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(expected);
    }
    PgConnectOptions::from_str(text).map_err(|_| expected)
}

fn long_secret(text: &str) -> Result<SecretString, &'static str> {
    if text.chars().count() < 32 { Err("at least 32 characters") } else { Ok(SecretString::from(text)) }
}

fn short_word(text: &str) -> Result<String, &'static str> {
    let fits = text.len() <= 128 && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or("1 to 128 visible ASCII characters")
}

fn above_zero(text: &str, expected: &'static str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or(expected)
}
