//! `tofu plan`: finds out what would change, checks it against `protect`, and keeps the plan so that exactly it can be
//! applied.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;

use super::drive::drive;
use super::guard::{self, Refusal};
use super::summary::PlanSummary;
use super::unseen::{self, Unseen};
use super::variables::{DeclaredVariables, ReleaseVariables};
use super::{Workspace, approval, recover};
use crate::failure::Failure;
use crate::fs::found;
use crate::report::{Ongoing, Summary};
use crate::signals::Stop;
use crate::state::plan_store::{PlanFile, PlanRecord};
use crate::tools::tofu::StateVersion;
use crate::tools::tofu::event::Event;
use crate::tools::tofu::plan::{Action, Plan};
use crate::tools::tofu::state::UnreadResource;

/// OpenTofu's exit code for a plan with changes.
pub(super) const CHANGES: i32 = 2;

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be applied: it is kept in place of an earlier one.
    Apply,
    /// The same, and it deletes everything.
    Destroy,
    /// To be shown. What is kept stays.
    Show,
}

/// A plan that was made.
#[derive(Debug)]
pub struct Planned {
    /// The environment.
    pub environment: String,
    /// What would change.
    pub plan: Plan,
    /// Whether anything would change, outputs included.
    pub has_changes: bool,
    /// The entries of `protect`.
    pub protected: BTreeSet<String>,
    /// Changes that `protect` refuses.
    pub refusals: Vec<Refusal>,
    /// Resources with `prevent_destroy` that the plan would destroy. OpenTofu stopped at them, so there may be more changes.
    pub prevented_destroys: Vec<String>,
    /// The record of the kept plan. None if nothing would change, or if the plan is refused.
    pub kept: Option<PlanRecord>,
    /// The condition of the resources that only the platform's API tells.
    pub unseen: Vec<Unseen>,
    /// The stack's folder, relative to the project's root.
    stack: Utf8PathBuf,
}

impl Planned {
    /// Fails if the plan must not be applied.
    pub fn guard(&self) -> Result<(), Failure> {
        let error = if !self.prevented_destroys.is_empty() {
            guard::prevented_destroys(&self.environment, &self.stack, &self.prevented_destroys)
        } else if !self.refusals.is_empty() {
            guard::refused(&self.environment, &self.refusals)
        } else {
            return Ok(());
        };
        Err(Failure::Refused(error))
    }

    /// The kept plan, if it can be applied: one of a tree with uncommitted changes is for information only.
    pub fn applicable(&self) -> Option<&PlanRecord> {
        self.kept.as_ref().filter(|record| !record.version.contains("-dirty-"))
    }

    /// Whether nothing but the release changes: see [`approval::is_of_the_release`].
    pub fn changes_only_the_release(&self) -> bool {
        self.prevented_destroys.is_empty() && approval::is_of_the_release(&self.plan)
    }

    /// Whether an output gets another value, comes or goes.
    pub fn changes_output(&self, name: &str) -> bool {
        self.plan.outputs.get(name).is_some_and(|output| output.action != Action::Nothing)
    }

    /// Names the kept plan to those who approve it. None if there is nothing to apply.
    pub fn approval(&self) -> Option<String> {
        self.applicable().map(PlanRecord::approval)
    }

    /// Fails unless the kept plan has this approval, and was made for this release.
    pub fn approved(self, approval: &str, release: Option<&ReleaseVariables<'_>>) -> Result<Self, Failure> {
        let kept = self.kept.as_ref();
        let fingerprint = release.map(ReleaseVariables::fingerprint).transpose()?;
        let why = if kept.map(PlanRecord::approval).as_deref() != Some(approval) {
            "the approval is for another plan than the one that is kept"
        } else if kept.is_some_and(|record| record.release != fingerprint) {
            "the image, the settings or the secrets have changed since the plan was made"
        } else {
            return Ok(self);
        };
        Err(approval::refused(&self.environment, why))
    }

    /// The plan for people.
    pub fn text(&self) -> String {
        self.details().text()
    }

    /// The plan for programs.
    pub fn json(&self) -> serde_json::Value {
        self.details().json()
    }

    /// The plan for people and programs.
    pub fn details(&self) -> PlanSummary<'_> {
        let Self { environment, plan, protected, refusals, .. } = self;
        PlanSummary { environment, plan, protected, refusals }
    }

    /// Entries of `protect` that cover no resource.
    pub fn unused_protect_entries(&self) -> Vec<String> {
        guard::unused_protect_entries(&self.plan, &self.protected)
    }

    fn new(workspace: &Workspace<'_>, plan: Plan, protected: BTreeSet<String>) -> Self {
        let (environment, stack) = (workspace.name().to_owned(), workspace.stack.folder.clone());
        let refusals = guard::refusals(&plan, &protected);
        let (prevented_destroys, kept, unseen) = (Vec::new(), None, Vec::new());
        Self { environment, plan, has_changes: true, protected, refusals, prevented_destroys, kept, unseen, stack }
    }
}

impl Summary for Planned {
    fn summary(&self) -> String {
        self.details().counts()
    }
}

/// Makes a plan for a release, or for the stack alone. The working folder is initialized.
pub async fn make(
    workspace: &Workspace<'_>,
    release: Option<&ReleaseVariables<'_>>,
    purpose: Purpose,
    step: &Ongoing,
    stop: &Stop,
) -> Result<Planned, Failure> {
    let (destroy, keeps) = (purpose == Purpose::Destroy, purpose != Purpose::Show);
    recover::refuse_unsaved_state(workspace)?;
    if let Some(release) = release {
        check_commit(workspace, release)?;
    }
    let store = workspace.plan_store()?;
    let protected = guard::protected(workspace).await?;
    let mut tofu = workspace.tofu()?;
    let mut names = Vec::new();
    if let Some(release) = release {
        (tofu, names) = release.add_to(workspace, tofu)?;
    }
    let file = PlanPath::create(workspace)?;
    let (mut read, mut drifted) = (Vec::new(), false);
    let command = tofu.plan(&file.0, destroy);
    let planning = drive(workspace, &command, stop, |event| match event {
        Event::RefreshStart { hook } => {
            read.push(hook.resource.addr.clone());
            step.progress(&format!("{} read: {}", read.len(), hook.resource.addr));
        }
        Event::ResourceDrift => drifted = true,
        _ => {}
    });
    let ended = planning.await?;
    let has_changes = ended.status.code() == Some(CHANGES) && ended.interrupted.is_none();
    if !has_changes && (!ended.status.success() || ended.interrupted.is_some()) {
        let prevented_destroys = ended.prevented_destroys(workspace);
        let failure = ended.failure(workspace, "plan");
        // OpenTofu has written an incomplete plan, unless everything was to be destroyed (1.12): it shows what causes that.
        if !prevented_destroys.is_empty()
            && let Ok(plan) = tofu.show(&file.0).await
        {
            if keeps {
                store.clear().await?;
            }
            return Ok(Planned { prevented_destroys, ..Planned::new(workspace, plan, protected) });
        }
        return Err(failure);
    }
    let mut unseen = Vec::new();
    if read.iter().any(|address| UnreadResource::is_at(address)) {
        let asked = async { Ok(unseen::ask(workspace, &tofu.state().await?).await) };
        unseen = workspace.query(stop, asked).await?;
    }
    let declared = DeclaredVariables::of(workspace, &names)?;
    // `show` takes as long as the plan itself, so it is skipped if it would show nothing new.
    let is_read = has_changes || drifted || !declared.are_known()?;
    let (plan, state) = if is_read {
        // If the state changes between the two, OpenTofu refuses to apply the plan.
        let query = async { tokio::try_join!(tofu.show(&file.0), tofu.state_version()) };
        workspace.query(stop, query).await?
    } else {
        (Plan::without_changes(read), StateVersion::default())
    };
    if plan.errored {
        return Err(anyhow!("the plan for {} is incomplete", workspace.name()).into());
    }
    if is_read {
        declared.check(workspace, &plan)?;
        declared.remember()?;
    }
    let mut planned = Planned { has_changes, unseen, ..Planned::new(workspace, plan, protected) };
    if !keeps {
        return Ok(planned);
    }
    if has_changes && planned.refusals.is_empty() {
        let content = PlanFile::read(&file.0)?;
        let record = PlanRecord {
            environment: workspace.name().to_owned(),
            version: workspace.source.version.clone(),
            commit: workspace.source.commit.clone(),
            release: release.map(ReleaseVariables::fingerprint).transpose()?,
            plan: content.sha256(),
            state,
            made: Timestamp::now(),
            destroy,
        };
        store.keep(&record, &content).await?;
        planned.kept = Some(record);
    } else {
        store.clear().await?;
    }
    Ok(planned)
}

/// Reads the kept plan. Refused if there is none, or if it must not be applied to what is checked out and to the state. The
/// working folder is initialized.
pub async fn kept(workspace: &Workspace<'_>, stop: &Stop) -> Result<Planned, Failure> {
    recover::refuse_unsaved_state(workspace)?;
    let store = workspace.plan_store()?;
    let record = workspace.query(stop, async { store.find().await }).await?;
    let record = record.ok_or_else(|| approval::refused(workspace.name(), "there is no plan"))?;
    approval::check(&record, workspace.name(), workspace.stack, &workspace.source, Timestamp::now())?;
    let protected = guard::protected(workspace).await?;
    let (tofu, file) = (workspace.tofu()?, PlanPath::new(workspace)?);
    store.fetch(&record, &file.0).await?;
    let query = async { tokio::try_join!(tofu.show(&file.0), tofu.state_version()) };
    let (plan, state) = workspace.query(stop, query).await?;
    approval::check_state(&record, &state)?;
    Ok(Planned { kept: Some(record), ..Planned::new(workspace, plan, protected) })
}

/// The plan file in the working folder. It is deleted when this is dropped: what is kept is in the store.
pub(super) struct PlanPath(Utf8PathBuf);

impl PlanPath {
    /// The path; there is no file.
    pub fn new(workspace: &Workspace<'_>) -> Result<Self> {
        let path = workspace.folder().join("plan.tfplan");
        found(fs_err::remove_file(&path))?;
        Ok(Self(path))
    }

    /// With an empty file that only this user can read. OpenTofu writes into it.
    pub fn create(workspace: &Workspace<'_>) -> Result<Self> {
        let path = Self::new(workspace)?;
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(&path.0).context("create the plan file")?;
        Ok(path)
    }

    pub fn as_path(&self) -> &Utf8Path {
        &self.0
    }
}

impl Drop for PlanPath {
    fn drop(&mut self) {
        // The next plan deletes what stays, and the folder is this user's alone.
        fs_err::remove_file(&self.0).ok();
    }
}

/// Fails if the stack's files are not those of the release's commit.
fn check_commit(workspace: &Workspace<'_>, release: &ReleaseVariables<'_>) -> Result<(), Failure> {
    let (wanted, checked_out) = (&release.source.commit, &workspace.source.commit);
    if wanted == checked_out {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "the release {} is planned with the stack's files of its own commit, and {} is checked out\n  type: git checkout {wanted}",
        release.source.version,
        &checked_out[..12]
    )))
}
