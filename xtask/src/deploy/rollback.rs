//! The story of a rollback: an earlier release serves again.

use anyhow::{Result, anyhow};

use super::run::Run;
use super::{planned, take_over};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Migration, Release};
use crate::report::Step;
use crate::state::history::{self, Kind, Outcome, Record};
use crate::targets::Plan;

/// Brings the release before the one that serves back, or the newest one whose version begins with `to`.
pub async fn rollback(env: &Env<'_>, to: Option<&str>, dry_run: bool) -> Result<Option<Release>, Failure> {
    let records = history::read_all(&env.store).await?;
    let (live, target) = choose(&records, to).map_err(Failure::Usage)?;
    let (from, back_to) = (live.version(), target.version());
    env.report.headline(&format!("{} → {}   {from} ⇢ {back_to}", env.config.project, env.name));
    refuse_to_cross(live, target)?; // Refused → 21
    let published = env.place.published(back_to)?;
    if dry_run {
        env.report.note(&format!("{back_to} is kept and can serve again; nothing was changed"));
        return Ok(None);
    }
    let run = Run::begin(env, Kind::Rollback, format!("rollback to {back_to}"), false).await?; // Locked → 20
    let steps = async {
        // What was chosen and refused above was looked at before the lease was had.
        if run.live().map(|now| &now.id) != Some(&live.id) {
            return Err(anyhow!(
                "somebody deployed to {} meanwhile; look again: cargo xtask history {}",
                env.name,
                env.name
            )
            .into());
        }
        let ground = run.live_step(Step::Ground, async |step| env.place.ground(&env.report, step).await).await?;
        // The settings it had belong to it: a wrong setting is as good a reason to go back as a wrong line.
        let ground = ground.with_settings(&target.settings)?;
        let plan = Plan { lines: vec![format!("{from} → {back_to}")], refusals: Vec::new() };
        run.note(|record| planned(record, &published, &ground, &plan));
        take_over(env, &run, &published, &ground).await
    };
    run.to_its_end(steps).await.map(Some)
}

/// The release that serves, and the one to go back to.
pub fn choose<'r>(records: &'r [Record], to: Option<&str>) -> Result<(&'r Record, &'r Record)> {
    let lives: Vec<&Record> = records.iter().filter(|record| record.outcome == Outcome::Live).collect();
    let live = *lives.last().ok_or_else(|| anyhow!("nothing was deployed yet; type: cargo xtask deploy"))?;
    let others = || lives.iter().rev().copied().filter(|record| record.version() != live.version());
    let target = match to {
        Some(to) => others().find(|record| record.version().starts_with(to)).ok_or_else(|| {
            let mut known: Vec<&str> = others().map(Record::version).collect();
            known.dedup();
            let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
            anyhow!("no other release's version begins with {to:?}; releases to go back to: {known}\n  type: cargo xtask history")
        })?,
        None => before(&lives, live).ok_or_else(|| anyhow!("{} is the only release that was ever live", live.version()))?,
    };
    Ok((live, target))
}

/// The deploy before the deploy of what serves: going back twice goes back by two.
fn before<'r>(lives: &[&'r Record], live: &Record) -> Option<&'r Record> {
    let deployed =
        lives.iter().rposition(|record| record.kind == Kind::Deploy && record.version() == live.version())?;
    let earlier = |record: &&&Record| record.kind == Kind::Deploy && record.version() != live.version();
    lives[..deployed].iter().rev().find(earlier).copied()
}

/// Those of these migrations that cannot be undone and that the code of this record does not know.
pub fn crossed<'m>(migrations: &'m [Migration], older: &Record) -> Vec<&'m str> {
    let known = |name: &str| older.migrations.iter().any(|migration| migration.name == name);
    let crossed = migrations.iter().filter(|migration| migration.irreversible && !known(&migration.name));
    crossed.map(|migration| migration.name.as_str()).collect()
}

/// Older code must not run on a schema that it cannot know.
fn refuse_to_cross(live: &Record, target: &Record) -> Result<(), Failure> {
    let crossed = crossed(&live.migrations, target);
    if crossed.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "refused: between {} and {} lies what cannot be undone: {}\n  \
         go forward instead: mend it in a commit and type: cargo xtask deploy",
        target.version(),
        live.version(),
        crossed.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Source;

    fn record(id: &str, kind: Kind, version: &str, outcome: Outcome) -> Record {
        let mut record = Record::begin(id.to_owned(), kind, "local", 1);
        let (commit, subject) = ("0".repeat(40), String::new());
        record.source = Some(Source { commit, version: version.to_owned(), subject, branch: None });
        record.outcome = outcome;
        record
    }

    #[test]
    fn going_back_twice_goes_back_by_two() {
        let mut records = vec![
            record("1", Kind::Deploy, "a", Outcome::Live),
            record("2", Kind::Deploy, "b", Outcome::Live),
            record("3", Kind::Deploy, "x", Outcome::Restored),
            record("4", Kind::Deploy, "c", Outcome::Live),
        ];
        assert_eq!(choose(&records, None).unwrap().1.version(), "b");
        records.push(record("5", Kind::Rollback, "b", Outcome::Live));
        assert_eq!(choose(&records, None).unwrap().1.version(), "a");
        records.push(record("6", Kind::Rollback, "a", Outcome::Live));
        assert!(choose(&records, None).unwrap_err().to_string().contains("only release"));
        assert_eq!(choose(&records, Some("c")).unwrap().1.version(), "c");
        assert!(choose(&records, Some("x")).unwrap_err().to_string().contains("c, b"));
    }

    #[test]
    fn an_irreversible_migration_is_not_crossed_and_is_named() {
        let migration =
            |name: &str, irreversible| Migration { name: name.to_owned(), sha256: String::new(), irreversible };
        let mut old = record("1", Kind::Deploy, "a", Outcome::Live);
        old.migrations = vec![migration("0001_first.sql", true)];
        let mut new = record("2", Kind::Deploy, "b", Outcome::Live);
        new.migrations = vec![migration("0001_first.sql", true), migration("0002_add.sql", false)];
        assert!(refuse_to_cross(&new, &old).is_ok());
        new.migrations.push(migration("0003_drop.sql", true));
        let Err(Failure::Refused(error)) = refuse_to_cross(&new, &old) else { panic!("it was crossed") };
        assert!(error.to_string().contains("0003_drop.sql"), "{error}");
    }
}
