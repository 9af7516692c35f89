//! What helps when nothing answers: the newest release that can start.

use anyhow::Result;

use super::changes::crossed;
use super::way_back::{closed, was_started};
use crate::env::Env;
use crate::state::history::{Outcome, Record};
use crate::targets::Target;
use crate::tools::git::{self, Filters};

/// The next step of a person whose environment does not answer: a command, or what to do before it. `crashes` is the version that
/// is started over and over.
pub async fn rescue(env: &Env<'_>, target: &Target<'_>, records: &[Record], crashes: Option<&str>) -> Result<String> {
    let name = env.name();
    let live: Vec<&Record> = records.iter().rev().filter(|record| record.outcome == Outcome::Live).collect();
    let Some(last) = live.first() else { return Ok(format!("cargo xtask deploy {name}")) };
    for record in &live {
        let version = record.version();
        if crashes == Some(version) || !fits(records, record) || target.published(record).await.is_err() {
            continue;
        }
        let is_checked_out = git::source(env.root(), Filters::Off).await.is_ok_and(|source| source.version == version);
        return Ok(if is_checked_out && version == last.version() {
            format!("cargo xtask deploy {name}     (starts {version} again)")
        } else {
            format!("cargo xtask rollback {name} --to {version}     (the newest release that can start)")
        });
    }
    Ok(format!("no release that is kept can start; fix it in a commit and type: cargo xtask deploy {name}"))
}

/// Whether nothing is known that keeps a release from starting on the schema that all these left.
fn fits(records: &[Record], older: &Record) -> bool {
    let started = || records.iter().filter(|record| was_started(record));
    started().all(|record| crossed(&record.migrations, older).is_empty()) && closed(started(), older).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Migration, Trial, WayBack};
    use crate::report::Step;
    use crate::state::history::{Kind, Timing};

    fn record(migrations: &[(&str, bool)], outcome: Outcome) -> Record {
        let mut record = Record::begin("id".to_owned(), Kind::Deploy, "local", 1);
        let migration = |(name, irreversible): &(&str, bool)| Migration {
            name: (*name).to_owned(),
            sha256: String::new(),
            irreversible: *irreversible,
        };
        record.migrations = migrations.iter().map(migration).collect();
        record.outcome = outcome;
        record
    }

    #[test]
    fn a_release_fits_until_a_started_one_may_have_migrated_past_it() {
        let serving = record(&[("1", false)], Outcome::Live);
        let mut next = record(&[("1", false), ("2", false)], Outcome::Failed);
        let trial = Trial::Fails("it stumbled".to_owned());
        next.way_back = Some(WayBack { version: "a".to_owned(), across: vec!["2".to_owned()], trial });
        assert!(fits(&[serving.clone(), next.clone()], &serving), "it was refused before it was started");
        next.steps.push(Timing { step: Step::Apply, seconds: 0.0, reused: false });
        assert!(!fits(&[serving.clone(), next.clone()], &serving));
        assert!(fits(&[serving.clone(), next.clone()], &next));
        let irreversible = record(&[("1", false), ("2", true)], Outcome::Live);
        assert!(!fits(&[serving.clone(), irreversible], &serving));
    }
}
