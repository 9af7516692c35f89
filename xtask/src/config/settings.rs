//! The service's table of settings (settings.json): every environment variable that it reads.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use super::file::TextFile;
use super::problem::{LISTED, Position, Problem, did_you_mean, quoted};
use super::{ConfigError, Environment, FILE};

/// The version of the format.
const SCHEMA: u32 = 1;
const WRITE_AGAIN: &str = "let the service write the file again, with the arguments of deploy.yaml's `service.schema`";

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
    /// Reads `root`/`file`. Fails for another version of the format.
    pub fn load(root: &Utf8Path, file: &Utf8Path) -> Result<Self, ConfigError> {
        Self::read_checked(&TextFile::read(root, file, WRITE_AGAIN)?)
    }

    /// Reads the text of `file`.
    pub fn parse(json: &str, file: &Utf8Path) -> Result<Self, ConfigError> {
        Self::read_checked(&TextFile::from_bytes(file, json.into())?)
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
        let mut problems: Vec<Problem> =
            environment.settings.iter().flatten().filter_map(problem).take(LISTED).collect();
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

    fn read_checked(file: &TextFile) -> Result<Self, ConfigError> {
        let table = Self::read(file)?;
        match table.contradictions(file) {
            problems if problems.is_empty() => Ok(table),
            mut problems => {
                let unlisted = problems.split_off(LISTED.min(problems.len())).len();
                Err(ConfigError::new(problems, unlisted))
            }
        }
    }

    fn read(file: &TextFile) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            #[serde(rename = "schema")]
            _schema: u32,
            settings: Vec<Setting>,
        }
        // The version first, because another version may have other keys.
        let Version { schema } = json(file)?;
        if schema != SCHEMA {
            let (at, message) = (Position { line: 1, column: 1 }, format!("found version {schema}, expected {SCHEMA}"));
            let hint = "use a toolkit and a service with the same version of the settings table";
            return Err(Problem { key: "schema".to_owned(), ..file.problem(at, message, hint) });
        }
        json(file).map(|Table { settings, .. }| Self { settings })
    }

    /// Repeated names, and settings that contradict themselves.
    fn contradictions(&self, file: &TextFile) -> Vec<Problem> {
        let mut names = BTreeSet::new();
        let noted = self.settings.iter().enumerate().filter_map(|(index, setting)| {
            let (key, message) = match names.insert(&setting.name) {
                true => setting.contradiction()?,
                false => ("name", format!("{} is repeated", setting.name)),
            };
            let key = format!("settings[{index}].{key}");
            let hint = WRITE_AGAIN.to_owned();
            Some(Problem { file: file.name.clone(), at: start_of_setting(file, index), key, message, hint })
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
            Kind::Text => return None,
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
        let (what, _) = self.default.as_deref().and_then(|default| self.misfit(default))?;
        Some(("default", format!("{}: the default does not fit the kind: expected {what}", self.name)))
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
        const KNOWN: &[&str] = &["postgres", "host", "port", "version", "random", "data-folder:NAME", "web-folder"];
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "postgres" => Self::Postgres,
            "host" => Self::Host,
            "port" => Self::Port,
            "version" => Self::Version,
            "random" => Self::Random,
            "web-folder" => Self::WebFolder,
            other => match other.strip_prefix("data-folder:") {
                Some(name) if super::check::is_label(name) => Self::DataFolder(name.to_owned()),
                _ => return Err(de::Error::unknown_variant(other, KNOWN)),
            },
        })
    }
}

fn json<'de, T: Deserialize<'de>>(file: &'de TextFile) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_str(&file.text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // The path is meaningless if the text is not JSON.
        let path = if error.inner().is_data() { error.path().to_string() } else { String::new() };
        not_settings(file, path.trim_start_matches('.'), error.inner())
    })?;
    reader.end().map_err(|error| not_settings(file, "", &error))?;
    Ok(value)
}

/// The position of a setting.
fn start_of_setting(file: &TextFile, index: usize) -> Option<Position> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        settings: Vec<&'a RawValue>,
    }
    let raw: Raw<'_> = serde_json::from_str(&file.text).ok()?;
    // A raw value is a slice of the text that it was read from.
    let offset = raw.settings.get(index)?.get().as_ptr().addr().checked_sub(file.text.as_ptr().addr())?;
    Some(file.position(offset))
}

/// The problem of a file that serde_json refuses.
fn not_settings(file: &TextFile, key: &str, error: &serde_json::Error) -> Problem {
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {} column {}", error.line(), error.column())).unwrap_or(&text);
    // serde puts the unknown word and the known ones into backticks.
    let mut words = text.split('`').skip(1).step_by(2);
    let word = words.next().unwrap_or_default();
    let (message, hint) = if text.starts_with("unknown field") {
        ("unknown key".to_owned(), did_you_mean(word, "keys", words))
    } else if text.starts_with("unknown variant") {
        (format!("unknown value {}", quoted(word)), did_you_mean(word, "values", words))
    } else {
        (text.to_owned(), WRITE_AGAIN.to_owned())
    };
    Problem { key: key.to_owned(), ..file.problem(at, message, hint) }
}

fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| !url.cannot_be_a_base())
}

fn is_duration(text: &str) -> bool {
    text.parse::<jiff::SignedDuration>().is_ok_and(|duration| !duration.is_negative())
}
