//! The service's table of settings (settings.json): every environment variable that it reads.

mod read;

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::read::{position, raw_settings, read_checked};
use super::file::TextFile;
use super::problem::{LISTED, Problem, did_you_mean, quoted};
use super::{ConfigError, Environment, FILE};

/// The hint of a table that the service writes.
const WRITE_AGAIN: &str = "let the service write the file again: cargo xtask render";

/// The hints of a table that a person writes.
const CREATE: &str = "create it, or let the service write it: `service.schema` in deploy.yaml";
const WRITE: &str = "correct the file";

/// The smallest table that lets a service tell its version.
pub(super) const EXAMPLE: &str = r#"{
  "schema": 1,
  "settings": [
    { "name": "SERVICE_VERSION", "help": "The release that runs", "kind": "text", "required": false, "secret": false,
      "supplied_by": "version" }
  ]
}"#;

/// Every setting of the service, in the order of its declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsTable {
    /// The settings, with unique names.
    pub settings: Vec<Setting>,
}

/// One environment variable of the service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The variable's name.
    pub name: String,
    /// What it does.
    pub help: String,
    /// The format of its value.
    pub kind: Kind,
    /// The values of a choice; empty for every other kind.
    #[serde(default)]
    pub values: Vec<String>,
    /// The value if it is not set.
    pub default: Option<String>,
    /// Whether the service refuses to start without it.
    pub required: bool,
    /// Whether its value is secret.
    pub secret: bool,
    /// What supplies the value if the user does not.
    pub supplied_by: Option<SuppliedBy>,
}

/// The format of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any text.
    Text,
    /// A signed 64-bit integer.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A URL with a scheme.
    Url,
    /// A path on the machine that runs the service.
    Path,
    /// A TCP port; with 0, the system chooses one.
    Port,
    /// A duration with its unit, such as `90s` or `15m`.
    Duration,
    /// One of [`Setting::values`].
    Choice,
    /// An RSA private key of 2048 bits, in PEM, which `bootstrap signing-key` makes.
    #[serde(rename = "rsa-key")]
    RsaKey,
}

/// What supplies a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuppliedBy {
    /// The URL of the database.
    Postgres,
    /// The address to listen on.
    Host,
    /// The port to listen on.
    Port,
    /// The version of the release.
    Version,
    /// A random value that is generated once per environment.
    Random,
    /// A folder of this name that outlives releases.
    DataFolder(String),
    /// The folder of the release's web UI.
    WebFolder,
}

impl SettingsTable {
    /// Reads `root`/`file`. `is_written` says that the service itself writes it. Fails with all its problems.
    pub fn load(root: &Utf8Path, file: &Utf8Path, is_written: bool) -> Result<Self, ConfigError> {
        let (missing, wrong) = if is_written { (WRITE_AGAIN, WRITE_AGAIN) } else { (CREATE, WRITE) };
        let text = TextFile::read(root, file, missing).map_err(ConfigError::from);
        text.and_then(|text| read_checked(&text, wrong)).map_err(|error| match is_written {
            true => error,
            false => error.with_example(file, EXAMPLE),
        })
    }

    /// Reads the text of `file`, which the service has just written.
    pub fn parse(json: &str, file: &Utf8Path) -> Result<Self, ConfigError> {
        read_checked(&TextFile::from_bytes(file, json.into())?, "change the service, which writes this")
    }

    /// The setting with this name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Fails with the problems that [`SettingsTable::check`] finds.
    pub fn accept(&self, environment: &Environment) -> Result<(), ConfigError> {
        let problems = self.check(environment);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(problems, 0)) }
    }

    /// The first twenty problems of an environment's settings in deploy.yaml, in the order of that file.
    pub fn check(&self, environment: &Environment) -> Vec<Problem> {
        let problem = |(name, value): (&String, &String)| {
            let Misfit { of_key, message, hint } = self.misfit(&environment.name, name, value)?;
            let document = &environment.document;
            let nodes = document.find(&["environments", &environment.name, "settings", name]);
            let node = nodes.map(|(key, value)| if of_key { key } else { value });
            let key = format!("environments.{}.settings.{name}", environment.name);
            Some(document.problem(node, &key, message, hint))
        };
        let of_media = |name: &String| {
            let names = self.settings.iter().map(|setting| setting.name.as_str());
            let node = environment.document.find(&["environments", &environment.name, "media", "settings", name]);
            let key = format!("environments.{}.media.settings.{name}", environment.name);
            let (node, hint) = (node.map(|(key, _)| key), did_you_mean(name, "settings", names));
            self.get(name)
                .is_none()
                .then(|| environment.document.problem(node, &key, "the service has no such setting".to_owned(), hint))
        };
        let outputs = environment.media.iter().flat_map(|media| media.settings.keys());
        let settings = environment.settings.iter().flatten().filter_map(problem);
        let mut problems: Vec<Problem> = settings.chain(outputs.filter_map(of_media)).take(LISTED).collect();
        problems.sort_by_key(|problem| problem.at);
        problems
    }

    fn misfit(&self, environment: &str, name: &str, value: &str) -> Option<Misfit> {
        let Some(setting) = self.get(name) else {
            let names = self.settings.iter().map(|setting| setting.name.as_str());
            let message = "the service has no such setting".to_owned();
            return Some(Misfit { of_key: true, message, hint: did_you_mean(name, "settings", names) });
        };
        if setting.secret {
            let message = format!("a secret must not be in {FILE}");
            let hint =
                format!("remove it, change its value, and put that into the environment or `.env.{environment}`");
            return Some(Misfit { of_key: true, message, hint });
        }
        let (what, hint) = setting.misfit(value)?;
        Some(Misfit { of_key: false, message: format!("found {}, expected {what}", quoted(value)), hint })
    }

    /// Repeated names, and settings that contradict themselves.
    fn contradictions(&self, file: &TextFile, hint: &str) -> Vec<Problem> {
        let mut names = BTreeSet::new();
        let noted = self.settings.iter().enumerate().filter_map(|(index, setting)| {
            let (key, message) = match names.insert(&setting.name) {
                true => setting.contradiction()?,
                false => ("name", format!("{} is repeated", setting.name)),
            };
            let key = format!("settings[{index}].{key}");
            let at = raw_settings(file).get(index).map(|raw| position(file, raw));
            Some(Problem { file: file.name.clone(), at, key, message, hint: hint.to_owned() })
        });
        noted.collect()
    }
}

/// The problem of one setting of an environment.
struct Misfit {
    /// Whether the problem is the key, not the value.
    of_key: bool,
    message: String,
    hint: String,
}

impl Setting {
    /// The expected format and a hint; `None` if the value fits.
    fn misfit(&self, value: &str) -> Option<(String, String)> {
        let (fits, what, example) = match self.kind {
            // A key is a secret, which deploy.yaml does not have.
            Kind::Text | Kind::RsaKey => return None,
            Kind::Integer => (value.parse::<i64>().is_ok(), "a whole number", "100"),
            Kind::Boolean => (matches!(value, "true" | "false"), "true or false", "true"),
            Kind::Url => (is_url(value), "a URL with its scheme", "https://example.com"),
            Kind::Path => (!value.is_empty(), "a path", "/var/lib/service"),
            Kind::Port => (value.parse::<u16>().is_ok(), "a port number from 0 to 65535", "3000"),
            Kind::Duration => (is_duration(value), "a duration with its unit", "90s"),
            Kind::Choice => {
                let known = || self.values.iter().map(String::as_str);
                let fits = known().any(|known| known == value);
                let what = format!("one of {}", known().collect::<Vec<_>>().join(", "));
                return (!fits).then(|| (what, did_you_mean(value, "values", known())));
            }
        };
        (!fits).then(|| (what.to_owned(), format!("for example `{}: {example}`", self.name)))
    }

    /// The key that contradicts the others, and the message.
    fn contradiction(&self) -> Option<(&'static str, String)> {
        if (self.kind == Kind::Choice) == self.values.is_empty() {
            return Some((
                "values",
                format!("{}: a choice needs `values`, and no other kind may have them", self.name),
            ));
        }
        if self.kind == Kind::RsaKey && !self.secret {
            return Some(("secret", format!("{}: a private key must be secret", self.name)));
        }
        let (what, _) = self.default.as_deref().and_then(|default| self.misfit(default))?;
        Some(("default", format!("{}: the default does not fit the kind: expected {what}", self.name)))
    }
}

impl SuppliedBy {
    /// How each is written.
    pub(super) const KNOWN: &[&str] =
        &["postgres", "host", "port", "version", "random", "data-folder:NAME", "web-folder"];

    /// As it is written in deploy.yaml and settings.json.
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(match text {
            "postgres" => Self::Postgres,
            "host" => Self::Host,
            "port" => Self::Port,
            "version" => Self::Version,
            "random" => Self::Random,
            "web-folder" => Self::WebFolder,
            other => {
                let name = other.strip_prefix("data-folder:").filter(|name| super::check::is_label(name))?;
                Self::DataFolder(name.to_owned())
            }
        })
    }
}

impl Serialize for SuppliedBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Postgres => serializer.serialize_str("postgres"),
            Self::Host => serializer.serialize_str("host"),
            Self::Port => serializer.serialize_str("port"),
            Self::Version => serializer.serialize_str("version"),
            Self::Random => serializer.serialize_str("random"),
            Self::WebFolder => serializer.serialize_str("web-folder"),
            Self::DataFolder(name) => serializer.collect_str(&format_args!("data-folder:{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for SuppliedBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| de::Error::unknown_variant(&text, Self::KNOWN))
    }
}

fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| !url.cannot_be_a_base())
}

fn is_duration(text: &str) -> bool {
    text.parse::<jiff::SignedDuration>().is_ok_and(|duration| !duration.is_negative())
}
