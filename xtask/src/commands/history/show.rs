//! `history show`

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use super::super::{Context, EnvironmentArg};
use crate::failure::Failure;
use crate::release::{Migration, Trial};
use crate::report::{Summary as _, seconds};
use crate::state::history::{self, Kind, Record};

/// Arguments of `history show`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask history show 20261121T113353Z-a54c45
  cargo xtask history show 3f9c2d production     the newest deploy of that version")]
pub struct ShowArgs {
    /// A record's id or its beginning, or a version or commit or its beginning
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl ShowArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let found = history::find(env.store()?, &self.id).await;
        let name = env.name();
        let record = found.map_err(|error| {
            Failure::Usage(anyhow!("{error:#}\n  to list them, type: cargo xtask history {name} -n 100"))
        })?;
        let detail = serde_json::to_value(&record).context("write the record as JSON")?;
        env.report.excerpt(detail, text(&record).trim_end());
        Ok(())
    }
}

/// A record for people: a row for each thing that it knows.
fn text(record: &Record) -> String {
    let mut rows = Rows(String::new());
    let kind = if record.kind == Kind::Rollback { "rollback" } else { "deploy" };
    rows.add("record", [format!("{}   {kind} to {}", record.id, record.environment)]);
    rows.add("outcome", [record.outcome.words().to_owned()]);
    if let Some(source) = &record.source {
        rows.add("version", [format!("{}   {}", source.version, source.subject)]);
        let branch = source.branch.as_ref().map_or_else(String::new, |branch| format!("   on {branch}"));
        rows.add("commit", [format!("{}{branch}", source.commit)]);
    }
    rows.add("digest", record.digest.clone());
    rows.add("address", record.address.clone());
    rows.add("container", record.container.clone());
    let took = record.ended.duration_since(record.started).unsigned_abs();
    let (began, ended) = (record.started.strftime("%Y-%m-%d %H:%M:%SZ"), record.ended.strftime("%Y-%m-%d %H:%M:%SZ"));
    rows.add("time", [format!("{began} – {ended}   {}", seconds(took).trim())]);
    rows.add("by", [format!("{}   toolkit {}, lease {}", record.who, record.toolkit, record.token)]);
    rows.add("before it", record.previous.clone());
    rows.add(
        "steps",
        record.steps.iter().map(|timing| {
            let took = if timing.reused { "reused".to_owned() } else { seconds(duration(timing.seconds)) };
            format!("{:<10} {:>9}", timing.step.to_string(), took.trim())
        }),
    );
    rows.add("plan", record.plan.iter().cloned());
    if let Some(way_back) = &record.way_back {
        let why = match &way_back.trial {
            Trial::Fails(why) => vec![why.clone()],
            Trial::Starts | Trial::NotTried(_) => Vec::new(),
        };
        rows.add("way back", [way_back.summary()].into_iter().chain(why));
    }
    let migration = |Migration { name, irreversible, .. }: &Migration| {
        format!("{name}{}", if *irreversible { ", irreversible" } else { "" })
    };
    rows.add("migrations", record.migrations.iter().map(migration));
    rows.add("settings", record.settings.iter().map(|(name, value)| format!("{name}={value}")));
    rows.add(
        "secrets",
        (!record.secrets.is_empty()).then(|| {
            let names: Vec<&str> = record.secrets.keys().map(String::as_str).collect();
            format!("{}   (fingerprints only)", names.join(", "))
        }),
    );
    rows.add("error", record.error.clone());
    rows.add("answers", record.answers.iter().cloned());
    rows.add("log", record.log.iter().cloned());
    rows.0
}

/// Labels, and lines beside them.
struct Rows(String);

impl Rows {
    /// Nothing is added for no text.
    fn add(&mut self, label: &str, texts: impl IntoIterator<Item = String>) {
        let mut label = label;
        for line in texts.into_iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()) {
            self.0.push_str(&format!("  {label:<11} {line}\n"));
            label = "";
        }
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::release::{Source, WayBack};
    use crate::report::Step;
    use crate::state::history::{Outcome, Timing};

    #[test]
    fn everything_of_a_record_is_shown_and_no_fingerprint() {
        let mut record = Record::begin("20261121T113353Z-a54c45".to_owned(), Kind::Deploy, "production", 7);
        let (commit, version, subject) = ("3f".repeat(20), "3f3f3f3f3f3f".to_owned(), "Add tags".to_owned());
        record.source = Some(Source { commit, version, subject, branch: Some("main".to_owned()) });
        (record.started, record.ended) = (Timestamp::from_second(1).unwrap(), Timestamp::from_second(66).unwrap());
        (record.who, record.toolkit) = ("ada@desk".to_owned(), "0.1.0".to_owned());
        record.digest = Some("sha256:0123".to_owned());
        record.address = Some("https://media.example.org".to_owned());
        record.container = Some("fr-par/1".to_owned());
        record.previous = Some("20261120T000000Z-000000".to_owned());
        let timing = |step, seconds, reused| Timing { step, seconds, reused };
        record.steps = vec![timing(Step::Build, 0.0, true), timing(Step::Apply, 61.04, false)];
        record.plan = vec!["a → b".to_owned(), "migration 2.sql".to_owned()];
        record.migrations = vec![Migration { name: "2.sql".to_owned(), sha256: String::new(), irreversible: true }];
        let trial = Trial::Fails("it stumbled".to_owned());
        record.way_back = Some(WayBack { version: "a".to_owned(), across: vec!["2.sql".to_owned()], trial });
        record.settings.insert("LOG_LEVEL".to_owned(), "info".to_owned());
        record.secrets.insert("JWT_SECRET".to_owned(), "sentinel-fingerprint".to_owned());
        record.end(Outcome::Restored, Some("it was not ready\nlast answer: 503".to_owned()));
        record.answers = vec!["12:00:01Z 503".to_owned()];
        record.log = vec!["no database".to_owned(), "it ends".to_owned()];
        insta::assert_snapshot!(text(&record), @r"
        record      20261121T113353Z-a54c45   deploy to production
        outcome     restored
        version     3f3f3f3f3f3f   Add tags
        commit      3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f   on main
        digest      sha256:0123
        address     https://media.example.org
        container   fr-par/1
        time        1970-01-01 00:00:01Z – 1970-01-01 00:01:06Z   65.0 s
        by          ada@desk   toolkit 0.1.0, lease 7
        before it   20261120T000000Z-000000
        steps       build         reused
                    apply         61.0 s
        plan        a → b
                    migration 2.sql
        way back    a does not start on the new schema
                    it stumbled
        migrations  2.sql, irreversible
        settings    LOG_LEVEL=info
        secrets     JWT_SECRET   (fingerprints only)
        error       it was not ready
                    last answer: 503
        answers     12:00:01Z 503
        log         no database
                    it ends
        ");
    }
}
