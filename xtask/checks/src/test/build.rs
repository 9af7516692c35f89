//! One compile of all test programs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use clap::ValueEnum as _;
use serde::Deserialize;
use xtask::commands::checks::COMPILER;
use xtask::config::Config;
use xtask::tools::cargo;
use xtask::tools::cmd::Cmd;

use super::suite::Suite;
use crate::processor;

/// A test program that is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its package.
    pub package: String,
    /// The library, the binary or the integration test that it is made of.
    pub target: String,
    /// It has the unit tests of a library or a binary.
    pub is_unit: bool,
    /// Where it is.
    pub executable: Utf8PathBuf,
    /// The package's folder, which its tests run in.
    pub folder: Utf8PathBuf,
}

/// The programs that a compile has made.
#[derive(Debug, Default)]
pub struct Built {
    /// The test programs.
    pub programs: Vec<Program>,
    /// The binaries without tests, by their names.
    pub binaries: BTreeMap<String, Utf8PathBuf>,
    /// What the compiler and clippy warn of, as they show it.
    pub warnings: BTreeSet<String>,
}

/// What cargo says, line by line.
#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact(Artifact),
    #[serde(rename = "compiler-message")]
    Diagnostic { message: Diagnostic },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: String,
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    manifest_path: Utf8PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<Utf8PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// cargo, which says nothing for terminals.
pub fn cargo(config: &Config) -> Cmd {
    // A panic tells its place without; with it every error would take its time to walk the stack.
    cargo::cargo(&config.root).env("CARGO_TERM_COLOR", "never").env("RUST_BACKTRACE", "0")
}

/// Compiles the test programs of these suites, all at once, and says the processor time that it took.
///
/// What the compiler warns of, clippy's lints included, is part of the result.
pub async fn build(config: &Config, suites: &[Suite], mut on_line: impl FnMut(&str)) -> (Result<Built>, Duration) {
    let (mut built, mut errors) = (Built::default(), Vec::new());
    let (variable, compiler) = COMPILER;
    let command = cargo(config).args(arguments(suites)).env(variable, compiler);
    let (ended, processor) = processor::run(command, |line| {
        match serde_json::from_str(line) {
            Ok(Message::Artifact(artifact)) => built.take(artifact),
            Ok(Message::Diagnostic { message }) => {
                on_line(&message.rendered);
                if message.level == "warning" {
                    built.warnings.insert(message.rendered);
                } else {
                    errors.push(message.rendered);
                }
            }
            Ok(Message::Other) => {}
            Err(_) => {
                on_line(line);
                return true;
            }
        }
        false
    })
    .await;
    (ended.with_context(|| errors.concat()).map(|()| built), processor)
}

/// The whole workspace is chosen, whatever the suites: for a part of it cargo chooses other features of its dependencies,
/// and would compile those a second time.
fn arguments(suites: &[Suite]) -> Vec<&'static str> {
    let mut arguments = vec!["test", "--workspace", "--no-run", "--message-format", "json"];
    // All that is ours is linted.
    let suites = if suites.contains(&Suite::Lint) { Suite::value_variants() } else { suites };
    for flag in suites.iter().flat_map(|suite| suite.units()) {
        if !arguments.contains(flag) {
            arguments.push(flag);
        }
    }
    // By name, or cargo leaves out those that `cargo test` does not run.
    let names: BTreeSet<&str> = suites.iter().filter_map(|suite| suite.integration_tests()).collect();
    arguments.extend(names.into_iter().flat_map(|name| ["--test", name]));
    arguments
}

impl Built {
    fn take(&mut self, artifact: Artifact) {
        let (Some(executable), Some(folder)) = (artifact.executable, artifact.manifest_path.parent()) else { return };
        if artifact.profile.test {
            self.programs.push(Program {
                package: package(&artifact.package_id).to_owned(),
                is_unit: !artifact.target.kind.iter().any(|kind| kind == "test"),
                target: artifact.target.name,
                executable,
                folder: folder.to_owned(),
            });
        } else {
            self.binaries.insert(artifact.target.name, executable);
        }
    }
}

/// The name in an id: `path+file:///project/xtask#0.1.0`, or `…#name@0.1.0` where the folder has another name.
fn package(id: &str) -> &str {
    let (place, version) = id.rsplit_once('#').unwrap_or((id, ""));
    let name = version.split_once('@').map(|(name, _)| name);
    name.unwrap_or_else(|| place.rsplit('/').next().unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_what_cargo_says() {
        let mut built = Built::default();
        let said = |kind: &str, name: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///p/xtask/standin#0.1.0",
                "manifest_path":"/p/xtask/standin/Cargo.toml","target":{{"kind":["{kind}"],"name":"{name}"}},
                "profile":{{"test":{test}}},"executable":"/t/{name}"}}"#
            )
        };
        for line in [said("bin", "standin", true), said("test", "faults", true), said("bin", "standin", false)] {
            let Message::Artifact(artifact) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
            built.take(artifact);
        }
        assert_eq!(built.binaries["standin"], "/t/standin");
        let programs: Vec<_> = built.programs.iter().map(|it| (&*it.package, &*it.target, it.is_unit)).collect();
        assert_eq!(programs, [("standin", "standin", true), ("standin", "faults", false)]);
        assert_eq!(built.programs[0].folder, "/p/xtask/standin");
        assert_eq!(package("path+file:///p/other#name@0.1.0"), "name");
    }

    #[test]
    fn all_tests_are_named_and_some_only_when_they_are_asked_for() {
        let all = arguments(&Suite::chosen(&[]));
        for name in ["*", "image", "journey"] {
            assert_eq!(all.windows(2).filter(|pair| **pair == ["--test", name]).count(), 1, "{name}: {all:?}");
        }
        assert!(
            arguments(&[Suite::Toolkit, Suite::Tofu]).ends_with(&["--lib", "--bins", "--test", "*", "--test", "tofu"])
        );
        assert!(!arguments(&[Suite::Journey]).contains(&"--lib"));
        assert_eq!(arguments(&[Suite::Lint]), arguments(&Suite::chosen(&[])), "all is linted");
    }
}
