//! One run that changes an environment. It owns the lease, the journal, the record and cancellation: whatever happens, it
//! ends with all of them in order.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

mod lease;
mod log;
mod open;

pub use self::lease::take_lease;
use self::open::open;
use super::changes::no_way_back;
use super::deployments::Deployments;
use super::gate::Breach;
use super::notify::Notifier;
use super::trace;
use crate::env::Env;
use crate::failure::{Failure, Untouched};
use crate::report::{Ongoing, Step, Summary};
use crate::signals::Stop;
use crate::state::history::{self, Kind, Outcome, Record, Timing};
use crate::state::journal::Journal;
use crate::state::lease::Lease;
use crate::state::store::Store;
use crate::targets::Target;

/// How long a server may be away while a run is under way: less than its lease lasts without a renewal.
const AWAY: Duration = Duration::from_secs(30);

/// A run under way. Its steps are either *cancellable* ([`Run::step`], [`Run::live_step`]): dropped when a stop is requested or the
/// lease is lost, and the processes that they started end; or *critical* ([`Run::critical`]): awaited to their end.
pub struct Run<'a> {
    /// The environment.
    pub env: &'a Env<'a>,
    /// Where the release runs.
    pub target: &'a Target<'a>,
    store: &'a Store,
    lease: Lease,
    journal: tokio::sync::Mutex<Journal>,
    record: RefCell<Record>,
    records: Vec<Record>,
    notifier: Notifier,
    deployments: Deployments<'a>,
    /// The run changes nothing, so it leaves no record.
    without_record: Cell<bool>,
    /// Whether a critical step is under way.
    critical: watch::Sender<bool>,
    /// Whether a release may have been started.
    applied: Cell<bool>,
}

impl<'a> Run<'a> {
    /// Takes the lease and opens the journal: with `resume` the one that an interrupted run left, otherwise a new one.
    pub async fn begin(
        env: &'a Env<'a>,
        target: &'a Target<'a>,
        kind: Kind,
        message: String,
        resume: bool,
    ) -> Result<Self, Failure> {
        let store = env.store()?;
        let lease = take_lease(env, message).await?;
        env.patience.lasts(AWAY);
        let (journal, record, records) = match open(env, store, kind, resume, &lease).await {
            Ok(opened) => opened,
            Err(failure) => {
                lease.release().await.context("release the lease")?;
                return Err(failure);
            }
        };
        let (journal, record) = (tokio::sync::Mutex::new(journal), RefCell::new(record));
        let (without_record, critical) = (Cell::new(false), watch::Sender::new(false));
        let (notifier, deployments) = (Notifier::of(env), Deployments::of(env));
        Ok(Self {
            env,
            target,
            store,
            lease,
            journal,
            record,
            records,
            notifier,
            deployments,
            without_record,
            critical,
            applied: Cell::new(false),
        })
    }

    /// The id of this run's record and of the release that it starts.
    pub fn id(&self) -> String {
        self.record.borrow().id.clone()
    }

    /// The record of the release that served when the run began.
    pub fn live(&self) -> Option<&Record> {
        self.live_records().last()
    }

    /// The records of all releases that were ever live, oldest first.
    pub fn live_records(&self) -> &[Record] {
        &self.records
    }

    /// Checks that the lease is still this run's. Called right before what users notice.
    pub async fn verify_lease(&self) -> Result<(), Failure> {
        self.lease.verify().await.map_err(Failure::Aborted)
    }

    /// Puts something into the record.
    pub fn note(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.borrow_mut());
    }

    /// Tells GitHub, and those who are named in deploy.yaml, that the run goes on: its source is known.
    pub async fn has_started(&self) {
        let record = self.record.borrow().clone();
        self.notifier.started(&record);
        self.deployments.open(&record, self.live()).await;
    }

    /// Nothing is changed, so there is nothing to record.
    pub fn leaves_no_record(&self) {
        self.without_record.set(true);
    }

    /// Runs a step whose result outlives this process, or takes the result from the journal: when an earlier run did the step
    /// with these inputs and `holds` confirms that what it made is still there.
    pub async fn step<T: Summary + Serialize + DeserializeOwned>(
        &self,
        step: Step,
        inputs: &impl Serialize,
        holds: impl AsyncFnOnce(&T) -> bool,
        work: impl AsyncFnOnce(&Ongoing) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let recalled: Option<T> = self.recall(step, inputs).await?;
        if let Some(result) = recalled
            && holds(&result).await
        {
            self.env.report.begin(step).reuse(&result.summary());
            return Ok(result);
        }
        let started = Instant::now();
        self.live_step(step, async |ongoing| {
            let result = work(ongoing).await?;
            // Before the step is shown as done: an interrupted run continues after it.
            let mut journal = self.journal.lock().await;
            journal.remember(step, inputs, &result, started.elapsed().as_secs_f64()).await?;
            Ok(result)
        })
        .await
    }

    /// Runs a step whose result lives only as long as this process.
    pub async fn live_step<T: Summary>(
        &self,
        step: Step,
        work: impl AsyncFnOnce(&Ongoing) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.env.report.step(step, work).await.map_err(|failure| match failure {
            Failure::Failed(error) if error.is::<Breach>() => {
                let name = self.env.name();
                Failure::Failed(error.context(format!(
                    "{step} failed; fix the service, and commit that; then type: cargo xtask deploy {name}"
                )))
            }
            Failure::Failed(error) => {
                Failure::Failed(error.context(format!("{step} failed; when that is fixed: {}", self.go_on())))
            }
            other => other,
        })
    }

    /// Runs a step that must not be cut off. A request to stop, or the loss of the lease, ends the run only after the step. The
    /// step itself is given the requests, and ends early where it can do so in order.
    pub async fn critical<T: Summary>(
        &self,
        step: Step,
        work: impl AsyncFnOnce(&Ongoing, &Stop) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if matches!(step, Step::Apply) {
            self.applied.set(true);
        }
        if matches!(step, Step::Apply | Step::MediaApply) {
            // Before it changes anything: after a kill, the next run says how far this one came.
            if let Err(error) = self.journal.lock().await.begin_step(step).await {
                self.env.report.warn(&format!("{error:#}"));
            }
        }
        self.held(self.live_step(step, async |ongoing| work(ongoing, &self.env.stop).await)).await
    }

    /// Awaits work that a request to stop, or the loss of the lease, must not cut off: a critical step, or what belongs to one that has
    /// just ended.
    pub async fn held<T>(&self, work: impl Future<Output = T>) -> T {
        self.critical.send_replace(true);
        let ended = work.await;
        self.critical.send_replace(false);
        ended
    }

    /// Writes to the journal that a step is done with these inputs, where only the target knows whether that still holds.
    pub async fn remember(&self, step: Step, inputs: &impl Serialize, output: &impl Serialize) -> Result<()> {
        self.journal.lock().await.remember(step, inputs, output, 0.0).await
    }

    /// The journal's result of a step that was done with these inputs.
    pub async fn recall<T: DeserializeOwned>(&self, step: Step, inputs: &impl Serialize) -> Result<Option<T>> {
        self.journal.lock().await.recall(step, inputs)
    }

    /// Awaits the run's steps, until they end, a stop is requested or the lease is lost. Then writes the record and releases
    /// the lease.
    pub async fn finish<T>(&self, steps: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let ended = tokio::select! {
            // The steps first: a critical one that ended because of the request knows more of it.
            biased;
            ended = steps => ended,
            failure = self.cancelled() => Err(failure),
        };
        let mut record = self.ended_record(&ended);
        let recorded = self.write_record(&mut record).await;
        let released = self.lease.release().await.context("release the lease");
        // Others may deploy meanwhile.
        let is_unchanged = self.without_record.get() && ended.is_ok();
        tokio::join!(
            self.notifier.ended(&record, self.live(), is_unchanged),
            self.deployments.close(&record, self.live(), is_unchanged),
            trace::export(self.env, &record, ended.is_ok())
        );
        match ended {
            Ok(value) => recorded.and(released).map(|()| value).map_err(Failure::from),
            // The first failure is the one to report; the rest is said beside it.
            Err(failure) => {
                for also in [recorded, released].into_iter().filter_map(Result::err) {
                    self.env.report.warn(&format!("{also:#}"));
                }
                match failure {
                    Failure::Aborted(error) => {
                        let back = self.way_back(&error);
                        Err(Failure::Aborted(anyhow!("{error:#}{back}\n  to continue, type: {}", self.go_on())))
                    }
                    other => Err(other),
                }
            }
        }
    }

    /// Resolves when the run has to end: never during a critical step.
    async fn cancelled(&self) -> Failure {
        let failure = tokio::select! {
            signal = self.env.stop.requested() => {
                let left = match self.applied.get() && self.target.takes_the_place() {
                    true => "the new release may have taken the place of the previous one, and was not verified",
                    false => "nothing is left half done",
                };
                Failure::Aborted(anyhow!("interrupted by {signal}; {left}"))
            }
            lost = self.lease.lost() => Failure::Aborted(lost),
        };
        // The sender lives as long as the run.
        drop(self.critical.subscribe().wait_for(|critical| !critical).await);
        failure
    }

    /// The command that continues where this run ended.
    fn go_on(&self) -> String {
        let (record, environment) = (self.record.borrow(), self.env.name());
        match (record.kind, &record.source) {
            (Kind::Deploy, _) => format!("cargo xtask deploy {environment} --resume"),
            (Kind::Rollback, Some(target)) => format!("cargo xtask rollback {environment} --to {}", target.version),
            (Kind::Rollback, None) => format!("cargo xtask rollback {environment}"),
        }
    }

    /// The command that undoes what an interrupted run may have applied in the place of the release that was live, or why there is none,
    /// as a line of its own.
    fn way_back(&self, error: &anyhow::Error) -> String {
        let may_have_applied = self.applied.get() && self.target.takes_the_place() && !error.is::<Untouched>();
        let Some(live) = self.live().filter(|_| may_have_applied) else { return String::new() };
        let (record, version, name) = (self.record.borrow(), live.version(), self.env.name());
        let across = no_way_back(&record.migrations, record.way_back.as_ref(), live);
        match across.is_empty() {
            true => format!("\n  to go back to {version}, type: cargo xtask rollback {name} --to {version}"),
            false => format!("\n  {} may have been applied, so there is no way back to {version}", across.join(", ")),
        }
    }

    fn ended_record<T>(&self, ended: &Result<T, Failure>) -> Record {
        let mut record = self.record.borrow().clone();
        record.previous = self.live().map(|live| live.id.clone());
        record.container = self.target.container().or_else(|| self.live()?.container.clone());
        record.ended = Timestamp::now();
        record.steps = self.env.report.finished().into_iter().map(timing).collect();
        match ended {
            Err(Failure::Aborted(error)) => record.end(Outcome::Aborted, Some(format!("{error:#}"))),
            Err(
                Failure::Failed(error)
                | Failure::Refused(error)
                | Failure::Locked(error)
                | Failure::Usage(error)
                | Failure::Ended(_, error),
            ) => {
                record.end(Outcome::Failed, Some(format!("{error:#}")));
            }
            // These have ended the record themselves.
            Ok(_) | Err(Failure::Restored(_) | Failure::NotRestored(_) | Failure::Pending) => {}
        }
        record.error = record.error.take().map(|error| self.env.report.redactor().redact(&error).into_owned());
        record
    }

    async fn write_record(&self, record: &mut Record) -> Result<()> {
        let journal = self.journal.lock().await;
        if self.without_record.get() {
            return journal.end().await;
        }
        let ongoing = self.env.report.begin(Step::Record);
        if record.outcome == Outcome::Live {
            self.target.sign(record).await.map_err(Failure::into_error).context("sign the record")?;
        }
        let written = history::append(self.store, record).await;
        match &written {
            Ok(()) => ongoing.finish(&format!("{}, {}", record.id, record.outcome.words())),
            Err(_) => ongoing.fail("failed"),
        }
        written?;
        // A rollback has no step whose result outlives it, so there is nothing to continue.
        if record.outcome == Outcome::Live || record.kind == Kind::Rollback {
            journal.end().await?;
        }
        // A folder is read as a whole in a moment; the images of a stack are removed by `image prune`.
        if record.outcome == Outcome::Live && !self.target.has_stack() {
            self.target.prune(&history::read_all(self.store).await?).await?;
        }
        Ok(())
    }
}

fn timing((step, duration, reused): (Step, std::time::Duration, bool)) -> Timing {
    Timing { step, seconds: (duration.as_secs_f64() * 1000.0).round() / 1000.0, reused }
}
