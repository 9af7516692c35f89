//! The way back: whether the release that serves could start again on the schema that a new one leaves. A deploy that fails
//! after its migrations, a crash of the release that serves, and a rollback all need that.

use anyhow::Result;

use super::asked::Asked;
use super::gate::gate;
use super::run::Run;
use crate::failure::Failure;
use crate::release::{Release, Settings, Trial, WayBack};
use crate::report::{Ongoing, Step};
use crate::sqlx::{Migrated, Schema, migrations};
use crate::state::history::{Outcome, Record};
use crate::targets::Started as _;

/// Starts the release that serves on the schema that a new one leaves. None where nothing has to be shown: there is no earlier
/// release, no migration is new, or one is marked irreversible.
pub async fn way_back(
    run: &Run<'_>,
    release: &Release,
    settings: &Settings,
    accept_none: bool,
) -> Result<Option<WayBack>, Failure> {
    let pending = migrations::compare(&release.published.migrations, run.live_records()).pending;
    let Some(live) = run.live().filter(|_| !pending.is_empty()) else { return Ok(None) };
    if pending.iter().any(|migration| migration.irreversible) {
        return Ok(None);
    }
    let found = |trial| WayBack {
        version: live.version().to_owned(),
        across: pending.iter().map(|migration| migration.name.clone()).collect(),
        trial,
    };
    let (schema, earlier) = match prepare(run, live, settings).await? {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Some(found(Trial::NotTried(why)))),
    };
    let tried = run.live_step(Step::WayBack, async |step| match start(run, &schema, &earlier, step).await {
        Ok(trial) => Ok(found(trial)),
        Err(Failure::Failed(error)) if accept_none => Ok(found(Trial::NotTried(format!("{error:#}")))),
        Err(failure) => Err(failure),
    });
    tried.await.map(Some)
}

/// The newest of these records whose migrations a version lacks and whose schema the version before it could not start on. They
/// were applied, or may have been.
pub fn closed<'r>(
    records: impl IntoIterator<Item = &'r Record>,
    older: &Record,
) -> Option<(&'r Record, &'r WayBack, &'r str)> {
    let lacks = |name: &String| !older.migrations.iter().any(|migration| migration.name == *name);
    let closed = records.into_iter().filter_map(|record| match &record.way_back {
        Some(way_back @ WayBack { trial: Trial::Fails(why), across, .. }) if across.iter().any(lacks) => {
            Some((record, way_back, why.as_str()))
        }
        _ => None,
    });
    closed.last()
}

/// Whether a release's migrations were applied, or may have been: it was started.
pub fn was_started(record: &Record) -> bool {
    record.outcome == Outcome::Live || record.steps.iter().any(|timing| timing.step == Step::Apply)
}

/// What the trial takes, or why there can be none.
async fn prepare<'a>(
    run: &Run<'a>,
    live: &Record,
    settings: &Settings,
) -> Result<Result<(Schema<'a>, (Release, Settings)), String>, Failure> {
    if let Some(why) = run.target.cannot_try().await? {
        return Ok(Err(why));
    }
    let Some(schema) = Schema::find(run.env)? else {
        return Ok(Err("Cargo.lock has no sqlx, so it is not known how migrations are applied".to_owned()));
    };
    let Ok(published) = run.target.published(live).await else {
        return Ok(Err("its program is no longer kept".to_owned()));
    };
    let settings = settings.with_plain(&live.settings);
    Ok(Ok((schema, (Release::new(published, &settings)?, settings))))
}

async fn start(
    run: &Run<'_>,
    schema: &Schema<'_>,
    (earlier, settings): &(Release, Settings),
    step: &Ongoing,
) -> Result<Trial, Failure> {
    let server = match schema.migrated(run.live_records(), step).await? {
        Migrated::Database(server) => server,
        Migrated::Skipped(why) => return Ok(Trial::NotTried(why)),
    };
    let version = earlier.version();
    step.progress(&format!("starting {version} on the new schema"));
    let id = format!("{}-way-back", run.id());
    let mut candidate = run.target.try_on(id, earlier, settings, &server).await?;
    let asked = Asked::new(&run.env.report);
    let ready = gate(&mut candidate, version, &run.env.environment.gate, &asked, step).await;
    // Before its database ends.
    candidate.give_up().await;
    Ok(match ready {
        Ok(_) => Trial::Starts,
        Err(failure) => {
            Trial::Fails(run.env.report.redactor().redact(&format!("{:#}", failure.into_error())).into_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Migration;
    use crate::state::history::Kind;

    fn record(id: &str, migrations: &[&str], across: &[&str], trial: Trial) -> Record {
        let mut record = Record::begin(id.to_owned(), Kind::Deploy, "local", 1);
        let migration =
            |name: &&str| Migration { name: (*name).to_owned(), sha256: String::new(), irreversible: false };
        record.migrations = migrations.iter().map(migration).collect();
        let across = across.iter().map(|name| (*name).to_owned()).collect();
        record.way_back = Some(WayBack { version: "before".to_owned(), across, trial });
        record
    }

    #[test]
    fn the_way_is_closed_to_releases_that_lack_what_was_not_started_on() {
        let records = [
            record("a", &["1"], &["1"], Trial::NotTried("no database".to_owned())),
            record("b", &["1", "2"], &["2"], Trial::Fails("it stumbled".to_owned())),
            record("c", &["1", "2", "3"], &["3"], Trial::Starts),
        ];
        let closing = |older: &Record| closed(&records, older).map(|(record, _, why)| (record.id.as_str(), why));
        assert_eq!(closing(&records[0]), Some(("b", "it stumbled")));
        assert_eq!(closing(&records[1]), None);
        assert_eq!(closing(&records[2]), None);
    }
}
