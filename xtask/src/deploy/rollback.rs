//! A rollback: an earlier release serves again.

use anyhow::{Result, anyhow};

use super::approval::{Approval, approve};
use super::changes::crossed;
use super::roll_out::{is_serving, plan_back, record_release, roll_out};
use super::run::Run;
use super::way_back::closed;
use super::{Deployed, media, verify};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::Release;
use crate::report::Step;
use crate::state::history::{self, Kind, Outcome, Record};
use crate::state::journal::{Found, Journal};
use crate::targets::Target;

/// Brings back the release before the one that serves, or the newest one whose version or commit begins with `to`: the one that
/// should serve too, when it does not. None after a dry run.
pub async fn rollback(
    env: &Env<'_>,
    target: &Target<'_>,
    to: Option<&str>,
    dry_run: bool,
    approval: Approval<'_>,
) -> Result<Option<Deployed>, Failure> {
    let records = env.stop.cancels("nothing was changed", Box::pin(records(env, to))).await?;
    let (live, earlier) = choose(&records, to).map_err(Failure::Usage)?;
    let (from, back_to) = (live.version(), earlier.version());
    let look = async {
        if live.is_same_release(earlier)
            && !may_be_replaced(env, target, &records).await?
            && is_serving(target, &live.id, from).await?.is_some()
        {
            return Err(Failure::Usage(anyhow!("{from} serves already")));
        }
        env.report.headline(&format!("{} → {}   {from} ⇢ {back_to}", env.config.project, env.name()));
        refuse_to_cross(&records, live, earlier)?; // Refused → 21
        target.published(earlier).await
    };
    let published = env.stop.cancels("nothing was changed", Box::pin(look)).await?;
    if dry_run {
        env.report.note(&format!("{back_to} is kept and can serve again; nothing was changed"));
        return Ok(None);
    }
    let message = format!("rollback to {back_to}");
    let run = Run::begin(env, target, Kind::Rollback, message, false).await?; // Locked → 20
    let steps = async {
        // The choice was made before the lease was taken.
        if run.live().map(|now| &now.id) != Some(&live.id) {
            let name = env.name();
            return Err(
                anyhow!("another deploy to {name} ended meanwhile; look again: cargo xtask history {name}").into()
            );
        }
        run.note(|record| record.source = earlier.source.clone());
        if approval != Approval::PlanOnly {
            run.has_started().await;
        }
        let media = Box::pin(media::present(&run)).await?;
        let settings = run.live_step(Step::Provision, async |step| target.provision(&media, step).await).await?;
        // An earlier release gets the settings that it had: a wrong setting is as good a reason to go back as a wrong line.
        let settings = settings.with_plain(&earlier.settings);
        verify(&run, &published, Some(earlier)).await?; // Refused → 21
        let release = Release::new(published, &settings)?;
        let plan = plan_back(&run, from, &release, &settings, approval).await?;
        run.note(|record| record_release(record, &release, &plan));
        plan.guard()?; // Refused → 21
        if approval == Approval::PlanOnly {
            run.leaves_no_record();
            return Ok(Deployed::Planned(Box::new(plan)));
        }
        let command = format!("cargo xtask rollback {} --to {back_to}", env.name());
        approve(env, &plan, approval, &command).await?; // Refused → 21
        roll_out(&run, &release, &settings, &plan).await.map(Deployed::Live)
    };
    Box::pin(run.finish(steps)).await.map(Some)
}

/// Whether a run since then may have put another release in the place of the live one, which answers until the platform has replaced it.
async fn may_be_replaced(env: &Env<'_>, target: &Target<'_>, records: &[Record]) -> Result<bool, Failure> {
    if !target.takes_the_place() {
        return Ok(false);
    }
    if interrupted(records).next().is_some() {
        return Ok(true);
    }
    // One that was killed has no record.
    let journal = Journal::find(env.store()?, env.name()).await?;
    let has_record = |id: &str| records.iter().any(|record| record.id == id);
    Ok(matches!(journal, Found::Unfinished(journal) if !has_record(journal.deploy())))
}

/// The newest records; all of them where none of those begins with `to`.
async fn records(env: &Env<'_>, to: Option<&str>) -> Result<Vec<Record>, Failure> {
    let recent = history::recent(env.store()?).await?;
    match to {
        Some(to) if !recent.iter().any(|record| record.begins_with(to)) => Ok(history::read_all(env.store()?).await?),
        _ => Ok(recent),
    }
}

/// The releases that `rollback --to` can name, newest first, without the one that serves.
pub async fn releases(env: &Env<'_>) -> Result<Vec<Record>, Failure> {
    let records = history::recent(env.store()?).await?;
    let mut releases: Vec<Record> = Vec::new();
    for record in others(&live_records(&records)) {
        if !releases.iter().any(|known| known.is_same_release(record)) {
            releases.push(record.clone());
        }
    }
    Ok(releases)
}

/// How to undo what was just deployed or brought back.
pub struct Undo {
    /// The version that would serve again.
    pub version: String,
    /// The command to type.
    pub command: String,
}

/// Undoes a deploy by a rollback, and a rollback by bringing the release back that was left. None where that release is not kept,
/// or could not serve again.
pub async fn undo(env: &Env<'_>, target: &Target<'_>) -> Option<Undo> {
    let (records, name) = (history::recent(env.store().ok()?).await.ok()?, env.name());
    let live = records.iter().rfind(|record| record.outcome == Outcome::Live)?;
    let (earlier, command) = match live.kind {
        Kind::Rollback => {
            let left = records.iter().find(|record| Some(&record.id) == live.previous.as_ref())?;
            (left, format!("cargo xtask rollback {name} --to {}", left.version()))
        }
        Kind::Deploy => (choose(&records, None).ok()?.1, format!("cargo xtask rollback {name}")),
    };
    if earlier.is_same_release(live) {
        return None;
    }
    refuse_to_cross(&records, live, earlier).ok()?;
    // With few releases to keep, it may be gone already.
    let published = target.published(earlier).await.ok()?;
    Some(Undo { version: published.source.version, command })
}

/// The release that serves, and the one to go back to.
pub fn choose<'r>(records: &'r [Record], to: Option<&str>) -> Result<(&'r Record, &'r Record)> {
    let live_records = live_records(records);
    let live = *live_records.last().ok_or_else(|| anyhow!("nothing was deployed yet; type: cargo xtask deploy"))?;
    let others = || others(&live_records);
    let target = match to {
        Some(to) => others().chain([live]).find(|record| record.begins_with(to)).ok_or_else(|| {
            let mut known: Vec<&str> = others().map(Record::version).collect();
            known.dedup();
            let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
            anyhow!("no other release's version begins with {to:?}; releases to go back to: {known}\n  type: cargo xtask history")
        })?,
        None => before(&live_records).ok_or_else(|| match others().next() {
            None => anyhow!("{} is the only release that was ever live", live.version()),
            Some(left) => anyhow!(
                "no release before {} was live; one that was left by a rollback serves again by: cargo xtask rollback --to {}",
                live.version(),
                left.version()
            ),
        })?,
    };
    Ok((live, target))
}

fn live_records(records: &[Record]) -> Vec<&Record> {
    records.iter().filter(|record| record.outcome == Outcome::Live).collect()
}

/// The records of other releases than the one that serves, newest first.
fn others<'r>(live_records: &[&'r Record]) -> impl Iterator<Item = &'r Record> {
    let live = live_records.last().copied();
    live_records.iter().rev().copied().filter(move |record| !live.is_some_and(|live| record.is_same_release(live)))
}

/// The release that what serves was deployed over. Going back twice goes back by two, and a release that was left by a rollback
/// is not gone back to.
fn before<'r>(live_records: &[&'r Record]) -> Option<&'r Record> {
    // The releases below each other: each was deployed over the one below it.
    let mut below: Vec<&Record> = Vec::new();
    for record in live_records {
        let known = below.iter().rposition(|earlier| earlier.is_same_release(record));
        match known {
            Some(place) if record.kind == Kind::Rollback || place + 1 == below.len() => below.truncate(place),
            _ => {}
        }
        below.push(record);
    }
    below.iter().rev().nth(1).copied()
}

/// The runs after the last one that went live or brought it back which may have put another release in its place.
fn interrupted(records: &[Record]) -> impl Iterator<Item = &Record> {
    let is_settled = |record: &Record| matches!(record.outcome, Outcome::Live | Outcome::Restored);
    let settled = records.iter().rposition(is_settled).map_or(0, |last| last + 1);
    let may_have_replaced = |record: &&Record| matches!(record.outcome, Outcome::Aborted | Outcome::NotRestored);
    records[settled..].iter().filter(may_have_replaced)
}

/// Older code must not run on a schema that it cannot know, or that it was seen not to start on. The live release is gone back to where
/// an interrupted run may have replaced it: that one may have migrated.
fn refuse_to_cross(records: &[Record], live: &Record, target: &Record) -> Result<(), Failure> {
    let is_again = live.is_same_release(target);
    let interrupted = || interrupted(records).filter(|_| is_again);
    for newer in interrupted().chain([live]) {
        let crossed = crossed(&newer.migrations, target);
        if !crossed.is_empty() {
            return Err(Failure::Refused(anyhow!(
                "refused: between {} and {} lies what cannot be undone: {}\n  \
                 go forward instead: fix it in a commit and type: cargo xtask deploy",
                target.version(),
                newer.version(),
                crossed.join(", ")
            )));
        }
    }
    let live_records = records.iter().filter(|record| record.outcome == Outcome::Live);
    let Some((record, way_back, why)) = closed(live_records.chain(interrupted()), target) else { return Ok(()) };
    Err(Failure::Refused(anyhow!(
        "refused: {} has not {}, and when {} was deployed, {} did not start on the schema that it leaves: {why}\n  \
         go forward instead: fix it in a commit and type: cargo xtask deploy",
        target.version(),
        way_back.across.join(", "),
        record.version(),
        way_back.version,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Migration, Source};

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
        let error = choose(&records, None).unwrap_err().to_string();
        assert!(error.contains("no release before a") && error.contains("--to b"), "{error}");
        assert_eq!(choose(&records, Some("c")).unwrap().1.version(), "c");
        assert!(choose(&records, Some("x")).unwrap_err().to_string().contains("c, b"));
    }

    #[test]
    fn a_release_that_was_left_is_not_gone_back_to() {
        let mut records = vec![record("1", Kind::Deploy, "a", Outcome::Live)];
        assert!(choose(&records, None).unwrap_err().to_string().contains("only release"));
        records.push(record("2", Kind::Deploy, "bad", Outcome::Live));
        records.push(record("3", Kind::Rollback, "a", Outcome::Live));
        records.push(record("4", Kind::Deploy, "fixed", Outcome::Live));
        // With other settings.
        records.push(record("5", Kind::Deploy, "fixed", Outcome::Live));
        assert_eq!(choose(&records, None).unwrap().1.version(), "a");
        records.push(record("6", Kind::Rollback, "bad", Outcome::Live));
        assert_eq!(choose(&records, None).unwrap().1.version(), "fixed");
    }

    #[test]
    fn commits_whose_first_digits_are_the_same_are_two_releases() {
        let of = |id: &str, commit: &str| {
            let mut record = record(id, Kind::Deploy, "0123456789ab", Outcome::Live);
            record.source.as_mut().unwrap().commit = format!("0123456789ab{commit}");
            record
        };
        let (one, other) = ("0".repeat(28), "f".repeat(28));
        let records = [of("1", &one), of("2", &other)];
        let (live, earlier) = choose(&records, None).unwrap();
        assert_eq!((live.id.as_str(), earlier.id.as_str()), ("2", "1"));
        let whole = format!("0123456789ab{one}");
        assert_eq!(choose(&records, Some(&whole)).unwrap().1.id, "1");
        assert_eq!(choose(&records, Some("0123456789abf")).unwrap().1.id, "2");
    }

    #[test]
    fn an_irreversible_migration_is_not_crossed_and_is_named() {
        let migration =
            |name: &str, irreversible| Migration { name: name.to_owned(), sha256: String::new(), irreversible };
        let mut old = record("1", Kind::Deploy, "a", Outcome::Live);
        old.migrations = vec![migration("0001_first.sql", true)];
        let mut new = record("2", Kind::Deploy, "b", Outcome::Live);
        new.migrations = vec![migration("0001_first.sql", true), migration("0002_add.sql", false)];
        assert!(refuse_to_cross(&[], &new, &old).is_ok());
        new.migrations.push(migration("0003_drop.sql", true));
        let Err(Failure::Refused(error)) = refuse_to_cross(&[], &new, &old) else { panic!("it was crossed") };
        assert!(error.to_string().contains("0003_drop.sql"), "{error}");
    }

    #[test]
    fn what_an_interrupted_run_may_have_migrated_is_not_crossed_to_the_live_release() {
        let irreversible = Migration { name: "0002_drop.sql".to_owned(), sha256: String::new(), irreversible: true };
        let live = record("1", Kind::Deploy, "a", Outcome::Live);
        let mut newer = record("2", Kind::Deploy, "b", Outcome::Aborted);
        newer.migrations = vec![irreversible];
        let failed = record("3", Kind::Deploy, "c", Outcome::Failed);
        let records = [live.clone(), newer.clone(), failed.clone()];
        assert_eq!(interrupted(&records).map(Record::version).collect::<Vec<_>>(), ["b"]);
        let Err(Failure::Refused(error)) = refuse_to_cross(&records, &live, &live) else { panic!("it was crossed") };
        assert!(error.to_string().contains("between a and b lies what cannot be undone: 0002_drop.sql"), "{error}");

        // A run that failed before it changed anything, and one that was made good, leave the live release as it is.
        assert_eq!(interrupted(&[live.clone(), failed]).count(), 0);
        let restored = record("4", Kind::Deploy, "d", Outcome::Restored);
        assert_eq!(interrupted(&[live, newer, restored]).count(), 0);
    }
}
