//! One run of a story that changes an environment: its lease, its journal, its record. Whatever happens, it ends
//! with all three in order.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::env::Env;
use crate::failure::Failure;
use crate::release::{StepResult, Summary};
use crate::report::{Ongoing, Step};
use crate::signals::interrupted;
use crate::state::history::{self, Kind, Outcome, Record, Timing};
use crate::state::journal::{Found, Journal};
use crate::state::lease::{Holder, Lease, TakeError};

/// A run under way.
pub struct Run<'a> {
    env: &'a Env<'a>,
    lease: Lease,
    journal: Mutex<Journal>,
    record: RefCell<Record>,
    lives: Vec<Record>,
    superfluous: Cell<bool>,
}

impl<'a> Run<'a> {
    /// Takes the lease and opens the journal: the one that was left behind when `resume`, otherwise a new one.
    pub async fn begin(env: &'a Env<'a>, kind: Kind, message: String, resume: bool) -> Result<Self, Failure> {
        let lease = Self::lease(env, message).await?;
        let (journal, record, lives) = match Self::open(env, kind, resume, &lease).await {
            Ok(opened) => opened,
            Err(failure) => {
                lease.release().await.context("give the lease back")?;
                return Err(failure);
            }
        };
        let (journal, record) = (Mutex::new(journal), RefCell::new(record));
        Ok(Self { env, lease, journal, record, lives, superfluous: Cell::new(false) })
    }

    /// Takes the lease alone, for what is over in a moment and leaves no record.
    pub async fn lease(env: &Env<'_>, message: String) -> Result<Lease, Failure> {
        let (lease, taken_over) = match Lease::take(&env.store, Holder::this_process(message)).await {
            Ok(taken) => taken,
            Err(TakeError::Held(holder)) => return Err(Failure::Locked(holder, env.name.to_owned())),
            Err(TakeError::Broken(error)) => return Err(error.context("take the lease").into()),
        };
        if let Some(gone) = taken_over {
            env.report.note(&format!("took the lease over from {}, who is gone (\"{}\")", gone.who, gone.message));
        }
        Ok(lease)
    }

    async fn open(
        env: &Env<'_>,
        kind: Kind,
        resume: bool,
        lease: &Lease,
    ) -> Result<(Journal, Record, Vec<Record>), Failure> {
        let records = history::read_all(&env.store).await?;
        let is_live = |record: &&Record| record.outcome == Outcome::Live;
        let lives: Vec<Record> = records.iter().filter(is_live).cloned().collect();
        let has_record = |id: &str| records.iter().any(|record| record.id == id);
        let begin = async |id: String| -> Result<_> {
            let journal = Journal::begin(&env.store, env.name, kind, &id).await?;
            Ok((journal, Record::begin(id, kind, env.name, lease.token()), lives.clone()))
        };
        match Journal::find(&env.store, env.name).await? {
            Found::Unfinished(mut journal) if resume && journal.kind() == kind => {
                if has_record(journal.deploy()) {
                    journal.rename(history::new_id()?).await?;
                }
                let steps: Vec<String> = journal.steps().iter().map(ToString::to_string).collect();
                let done = if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") };
                env.report.note(&format!("going on; finished before: {done}"));
                let record = Record::begin(journal.deploy().to_owned(), kind, env.name, lease.token());
                Ok((journal, record, lives.clone()))
            }
            Found::Unusable(why) if resume => {
                env.report.warn(&format!("the journal of the earlier run cannot be used: {why}; beginning anew"));
                Ok(begin(history::new_id()?).await?)
            }
            Found::Nothing if resume => {
                env.report.note("there is nothing to go on with; beginning anew");
                Ok(begin(history::new_id()?).await?)
            }
            Found::Unfinished(journal) if !has_record(journal.deploy()) => {
                let mut killed = Record::begin(journal.deploy().to_owned(), journal.kind(), env.name, lease.token());
                let last = journal.steps().last().map_or_else(|| "its start".to_owned(), |step| format!("step {step}"));
                killed.end(Outcome::Aborted, Some(format!("it ended without a word after {last}")));
                history::append(&env.store, &killed).await?;
                env.report.note(&format!("an earlier run was cut short after {last}; beginning anew"));
                Ok(begin(history::new_id()?).await?)
            }
            Found::Nothing | Found::Unfinished(_) | Found::Unusable(_) => Ok(begin(history::new_id()?).await?),
        }
    }

    /// The id of this run's record and of the instance that it starts.
    pub fn id(&self) -> String {
        self.record.borrow().id.clone()
    }

    /// The record of the release that served when the run began.
    pub fn live(&self) -> Option<&Record> {
        self.lives.last()
    }

    /// The records of all that was ever live, oldest first.
    pub fn lives(&self) -> &[Record] {
        &self.lives
    }

    /// Looks whether the lease is still this run's: asked right before what others would notice.
    pub async fn holds_lease(&self) -> Result<(), Failure> {
        self.lease.verify().await.map_err(Failure::Aborted)
    }

    /// Puts something into the record.
    pub fn note(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.borrow_mut());
    }

    /// What was asked for serves already: nothing changes, and there is nothing to record.
    pub fn is_superfluous(&self) {
        self.superfluous.set(true);
    }

    /// Does a step whose result outlives this process, or takes that result from the journal: when the step was done with
    /// these inputs and what it made is still there.
    pub async fn step<T: StepResult>(
        &self,
        step: Step,
        inputs: &impl Serialize,
        work: impl AsyncFnOnce(&Ongoing) -> Result<T>,
    ) -> Result<T, Failure> {
        let recalled: Option<T> = self.journal.lock().await.recall(step, inputs)?;
        if let Some(result) = recalled.filter(StepResult::holds) {
            self.env.report.begin(step).reuse(&result.summary());
            return Ok(result);
        }
        let started = Instant::now();
        let ongoing = self.env.report.begin(step);
        match work(&ongoing).await {
            Ok(result) => {
                self.journal.lock().await.remember(step, inputs, &result, started.elapsed().as_secs_f64()).await?;
                ongoing.finish(&result.summary());
                Ok(result)
            }
            Err(error) => {
                ongoing.fail("failed");
                Err(error.context(format!("{step} failed; once that is mended: {}", self.go_on())).into())
            }
        }
    }

    /// Remembers that a step was done with these inputs, where only the place can tell whether that still holds.
    pub async fn remember(&self, step: Step, inputs: &impl Serialize, output: &impl Serialize) -> Result<()> {
        self.journal.lock().await.remember(step, inputs, output, 0.0).await
    }

    /// What was remembered of a step that was done with these inputs.
    pub async fn recall<T: DeserializeOwned>(&self, step: Step, inputs: &impl Serialize) -> Result<Option<T>> {
        self.journal.lock().await.recall(step, inputs)
    }

    /// Does a step whose result lives only as long as this process.
    pub async fn live_step<T: Summary>(&self, step: Step, work: impl AsyncFnOnce(&Ongoing) -> Result<T>) -> Result<T> {
        let ongoing = self.env.report.begin(step);
        match work(&ongoing).await {
            Ok(result) => {
                ongoing.finish(&result.summary());
                Ok(result)
            }
            Err(error) => {
                ongoing.fail("failed");
                Err(error.context(format!("{step} failed; once that is mended: {}", self.go_on())))
            }
        }
    }

    /// Runs the story until it ends by itself, a signal comes or the lease is lost; then writes the record and gives the
    /// lease back.
    pub async fn to_its_end<T>(&self, story: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let ended = tokio::select! {
            ended = story => ended,
            signal = interrupted() => {
                Err(Failure::Aborted(anyhow!("interrupted by {}; nothing is left half done", signal?)))
            }
            lost = self.lease.lost() => Err(Failure::Aborted(lost)),
        };
        let recorded = self.record(&ended).await;
        let released = self.lease.release().await.context("give the lease back");
        match ended {
            Ok(value) => recorded.and(released).map(|()| value).map_err(Failure::from),
            // What went wrong first is what people must hear of; the rest is said beside it.
            Err(failure) => {
                for also in [recorded, released].into_iter().filter_map(Result::err) {
                    self.env.report.warn(&format!("{also:#}"));
                }
                match failure {
                    Failure::Aborted(error) => {
                        Err(Failure::Aborted(anyhow!("{error:#}\n  to go on, type: {}", self.go_on())))
                    }
                    other => Err(other),
                }
            }
        }
    }

    /// The command that goes on where this run ended.
    fn go_on(&self) -> String {
        let (record, environment) = (self.record.borrow(), self.env.name);
        match (record.kind, &record.source) {
            (Kind::Deploy, _) => format!("cargo xtask deploy {environment} --resume"),
            (Kind::Rollback, Some(target)) => format!("cargo xtask rollback {environment} --to {}", target.version),
            (Kind::Rollback, None) => format!("cargo xtask rollback {environment}"),
        }
    }

    async fn record<T>(&self, ended: &Result<T, Failure>) -> Result<()> {
        if self.superfluous.get() {
            return self.journal.lock().await.end().await;
        }
        let mut record = self.record.borrow().clone();
        record.previous = self.live().map(|live| live.id.clone());
        record.ended = Timestamp::now();
        record.steps = self.env.report.finished().into_iter().map(timing).collect();
        match ended {
            Err(Failure::Aborted(error)) => record.end(Outcome::Aborted, Some(format!("{error:#}"))),
            Err(Failure::Failed(error) | Failure::Refused(error)) => {
                record.end(Outcome::Failed, Some(format!("{error:#}")))
            }
            // The story itself has said how it ended.
            _ => {}
        }
        record.error = record.error.take().map(|error| self.env.report.redactor().redact(&error).into_owned());
        let ongoing = self.env.report.begin(Step::Record);
        let written = history::append(&self.env.store, &record).await;
        match &written {
            Ok(()) => ongoing.finish(&format!("{}, {}", record.id, record.outcome.words())),
            Err(_) => ongoing.fail("failed"),
        }
        written?;
        // A rollback has no step whose result outlives it, so there is nothing to go on with.
        if record.outcome == Outcome::Live || record.kind == Kind::Rollback {
            self.journal.lock().await.end().await?;
        }
        if record.outcome == Outcome::Live {
            self.env.place.prune(&history::read_all(&self.env.store).await?)?;
        }
        Ok(())
    }
}

fn timing((step, duration, reused): (Step, std::time::Duration, bool)) -> Timing {
    Timing { step, seconds: (duration.as_secs_f64() * 1000.0).round() / 1000.0, reused }
}
