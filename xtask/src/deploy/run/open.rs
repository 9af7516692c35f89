//! What a run begins with: its journal, which may be that of an interrupted run, and its record.

use crate::env::Env;
use crate::failure::Failure;
use crate::state::history::{self, Kind, Outcome, Record};
use crate::state::journal::{Found, Journal};
use crate::state::lease::Lease;
use crate::state::store::Store;

/// Opens the journal: with `resume` the one that an interrupted run left, otherwise a new one. Returns the records of the releases that
/// went live, too. Without `resume`, a run that was killed gets its record here.
pub(super) async fn open(
    env: &Env<'_>,
    store: &Store,
    kind: Kind,
    resume: bool,
    lease: &Lease,
) -> Result<(Journal, Record, Vec<Record>), Failure> {
    let read = async {
        let (records, journal) = tokio::try_join!(history::recent(store), Journal::find(store, env.name()))?;
        let has_record = match &journal {
            Found::Unfinished(journal) => history::with_id(store, journal.deploy()).await?.is_some(),
            Found::Nothing | Found::Unusable(_) => false,
        };
        Ok((records, journal, has_record))
    };
    let (records, journal, has_record) = env.stop.cancels("nothing was changed", Box::pin(read)).await?;
    let id = match journal {
        Found::Unfinished(mut journal) if resume && journal.kind() == kind => {
            if has_record {
                journal.rename(history::new_id()?).await?;
            }
            let steps: Vec<String> = journal.steps().iter().map(ToString::to_string).collect();
            let done = if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") };
            env.report.note(&format!("resuming the run {}; done before: {done}", journal.describe()));
            let record = Record::begin(journal.deploy().to_owned(), kind, env.name(), lease.token());
            return Ok((*journal, record, history::live_records(&records)));
        }
        Found::Unusable(why) if resume => {
            env.report.warn(&format!("the journal of the earlier run cannot be used: {why}; starting over"));
            history::new_id()?
        }
        Found::Nothing if resume => {
            env.report.note("there is nothing to resume; starting over");
            history::new_id()?
        }
        Found::Unfinished(journal) if !has_record => {
            let mut killed = Record::begin(journal.deploy().to_owned(), journal.kind(), env.name(), lease.token());
            let found = journal.describe();
            killed.end(Outcome::Aborted, Some(format!("its process ended without a record: {found}")));
            history::append(store, &killed).await?;
            env.report
                .note(&format!("found an earlier run, {found}; starting over (--resume would have continued it)"));
            history::new_id()?
        }
        Found::Nothing | Found::Unfinished(_) | Found::Unusable(_) => history::new_id()?,
    };
    let journal = Journal::begin(store, env.name(), kind, &id).await?;
    let record = Record::begin(id, kind, env.name(), lease.token());
    Ok((journal, record, history::live_records(&records)))
}
