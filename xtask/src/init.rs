//! A first deploy.yaml, of what a repository shows: what runs the service, its variables, its health path.

mod runs;
mod shell;
mod sources;
mod variables;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

pub use self::runs::{Runs, below};
use self::sources::Sources;
use self::variables::Variables;
use crate::config::schema_line;
use crate::typed::as_typed;

/// Something that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub value: String,
    /// A file, or what else shows it.
    pub by: String,
}

/// What a repository shows.
pub struct Seen {
    project: String,
    /// What runs the service.
    pub runs: Option<Runs>,
    /// The path that it answers when it can serve.
    pub readiness: Option<Found>,
    /// It takes a socket that it is given.
    takes_socket: bool,
    port: u16,
    variables: Variables,
    migrations: Option<Utf8PathBuf>,
}

impl Seen {
    /// Looks at the repository's folder. Runs none of its programs. What runs the service is not looked for where a person has `named`
    /// it.
    pub async fn look(root: &Utf8Path, named: Option<Runs>) -> Result<Self> {
        let sources = Sources::read(root)?;
        let runs = match named {
            Some(named) => Some(named),
            None => runs::find(root).await?,
        };
        let (port, variables) = variables::find(root)?;
        let folders = ["migrations", "db/migrations", "db/migrate"].map(Utf8PathBuf::from);
        let takes_socket = matches!(&runs, Some(Runs::Cargo { takes_socket: true, .. }));
        Ok(Self {
            project: label(root.file_name().unwrap_or_default()),
            migrations: folders.into_iter().find(|folder| has_sql(&root.join(folder))),
            port: port.or(sources.exposed).unwrap_or(3000),
            readiness: sources.readiness,
            runs,
            takes_socket,
            variables,
        })
    }

    /// The text of deploy.yaml; none while it is not known what runs the service.
    pub fn deploy_yaml(&self) -> Option<String> {
        let mut text = format!(
            "{}\n# What is deployed where. What a key means: {}\nproject: {}\nservice:\n",
            schema_line(),
            as_typed("cargo xtask docs KEY"),
            scalar(&self.project)
        );
        let mut line = |text_of: &str, comment: &str| match comment {
            "" => text.push_str(&format!("{text_of}\n")),
            _ => text.push_str(&format!("{text_of:<40} # {}\n", comment.replace(is_unprintable, ""))),
        };
        match self.runs.as_ref()? {
            Runs::Cargo { package, binary, others, .. } => {
                let others = if others.is_empty() { String::new() } else { format!("; others: {}", others.join(", ")) };
                line(&format!("  package: {}", scalar(package)), &format!("Cargo.toml{others}"));
                if binary != package {
                    line(&format!("  binary: {}", scalar(binary)), "");
                }
            }
            Runs::Image => line("  image: true", "Dockerfile: this machine's Docker engine builds and runs it"),
            Runs::Command { command, build, files, .. } => {
                line(&format!("  command: {}", list(command.0.iter())), &command.1);
                if let Some((build, by)) = build {
                    line(&format!("  build: {}", list(build.iter())), by);
                }
                if !files.is_empty() {
                    line(&format!("  files: {}", list(files.iter())), "what a release runs with");
                }
            }
        }
        if self.takes_socket {
            line("  # It takes the socket that it is given (LISTEN_FDS), so it opens no port of its own.", "");
        } else {
            let port = match &self.runs {
                Some(Runs::Image) => "tells the service its port, 8080 in the container; it has to listen there",
                _ => "tells the service its port",
            };
            line("  port_variable: PORT", port);
        }
        match &self.readiness {
            Some(Found { value, by }) => line(&format!("  readiness: {}", scalar(value)), by),
            None => line("  readiness: /", "not seen: the path that answers 200 when the service can serve"),
        }
        if let Some(folder) = &self.migrations {
            line(&format!("  migrations: {folder}"), "the service runs them itself");
        }
        if !self.variables.is_empty() {
            line("  env:", ".env.example; secrets are put into .env.local, mode 0600");
            for (name, value) in &self.variables {
                // A container does not reach the private PostgreSQL.
                let value = match &self.runs {
                    Some(Runs::Image) => value.replace(", supplied_by: postgres", ""),
                    _ => value.clone(),
                };
                line(&format!("    {name}: {value}"), "");
            }
        }
        line("environments:", "");
        let what = match self.runs {
            Some(Runs::Image) => "a container on this machine",
            _ => "a process on this machine",
        };
        line(&format!("  local: {{ target: local, port: {} }}", self.port), what);
        Some(text)
    }
}

/// A list in YAML's flow style. Quotes are JSON's, which YAML reads.
fn list(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<String> = words.map(|word| scalar(word.as_ref())).collect();
    format!("[{}]", words.join(", "))
}

/// A text in YAML, quoted where it would be read as something else, such as a number.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '=');
    let begins_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') || text.starts_with("./");
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if begins_plain && text.chars().all(is_plain) && !words.contains(&text.to_lowercase().as_str()) {
        return text.to_owned();
    }
    // JSON leaves some as they are that YAML does not take.
    let escaped = |c: char| match is_unprintable(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    serde_json::Value::from(text).to_string().chars().map(escaped).collect()
}

/// What does not stand in a line of YAML.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A name as a label of a host name.
fn label(name: &str) -> String {
    let label: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let label = label.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let label = label.get(..label.len().min(63)).unwrap_or_default().trim_end_matches('-');
    if label.is_empty() { "my-service".to_owned() } else { label.to_owned() }
}

fn has_sql(folder: &Utf8Path) -> bool {
    let Ok(entries) = folder.read_dir_utf8() else { return false };
    entries.filter_map(Result::ok).any(|entry| entry.path().extension() == Some("sql"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_the_text_that_it_is() {
        for plain in ["shop", "/health", "./bin/server", "a.b-c_d=e+1"] {
            assert_eq!(scalar(plain), plain);
        }
        for text in "1.10 0x1f .5 .inf +1 -o ~ null True off n # ../x".split(' ').chain(["", "a: b", "a\u{7f}\u{85}\n"])
        {
            let written = scalar(text);
            assert!(written.starts_with('"'), "{written}");
            let read: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
            assert_eq!(read.as_str(), Some(text), "{written}");
        }
    }

    #[test]
    fn a_comment_ends_with_its_line() {
        let seen = Seen {
            project: "null".to_owned(),
            runs: Some(Runs::named(vec!["./1".to_owned()])),
            readiness: Some(Found { value: "/health".to_owned(), by: "a\nenvironments: {}\u{85}".to_owned() }),
            takes_socket: false,
            port: 1,
            variables: Variables::new(),
            migrations: None,
        };
        let text = seen.deploy_yaml().unwrap();
        assert!(text.contains("project: \"null\"\n") && text.contains("# aenvironments: {}\n"), "{text}");
        crate::config::Config::parse(&text).unwrap();
    }
}
