//! `tofu plan`: what would change, read, guarded, shown, and kept so that just this can be applied.

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;
use serde_json::Value;

use super::approval::Record;
use super::drive::drive;
use super::summary::Summary;
use super::{Infra, guard, mend, ready, variables};
use crate::failure::Failure;
use crate::hash::sha256_file;
use crate::release::Source;
use crate::report::Step;
use crate::state::store::replace_file;
use crate::tools::git;
use crate::tools::tofu::StateVersion;
use crate::tools::tofu::event::Event;
use crate::tools::tofu::plan::Plan;

/// The exit code of the program for a plan with changes in it.
const CHANGES: i32 = 2;

/// What a stack would change.
pub struct Planned {}

impl crate::report::Summary for Planned {
    fn summary(&self) -> String {
        String::new()
    }
}

/// How it is asked for.
#[derive(Clone, Debug)]
pub struct How {
    /// A plan to delete everything.
    pub destroy: bool,
    /// A file for the summary as a part of a page.
    pub markdown: Option<Utf8PathBuf>,
}

/// Makes a plan and shows it. Fails with [`Failure::Pending`] where it would change something, and is refused where that
/// is protected.
pub async fn plan(infra: &Infra<'_>, how: &How) -> Result<(), Failure> {
    let _lock = infra.enter("plan")?;
    mend::nothing_unsaved(infra)?;
    ready::prepare(infra, false).await?;
    let shelf = infra.shelf();
    shelf.clear()?;
    let protected = guard::protected(&infra.config.root, infra.name, infra.stack).await?;
    let source = git::source(&infra.config.root).await?;
    let (tofu, handed_over) = variables::hand_over(infra, infra.tofu()?).await?;
    let file = shelf.plan();
    // Made before, so that it is never open to others, whatever the program thinks of it.
    fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).context("make the plan's file")?;

    let step = infra.report.begin(Step::Plan);
    let (mut read, mut drifted) = (Vec::new(), false);
    let command = tofu.plan(&file, how.destroy);
    let planning = drive(infra, &command, |event| match event {
        Event::RefreshStart { hook } => {
            read.push(hook.resource.addr.clone());
            step.progress(&format!("{} read: {}", read.len(), hook.resource.addr));
        }
        Event::ResourceDrift => drifted = true,
        _ => {}
    });
    let ended = planning.await?;
    let changes = ended.status.code() == Some(CHANGES) && ended.asked.is_none();
    if !changes && (!ended.status.success() || ended.asked.is_some()) {
        step.fail("failed");
        let failure = ended.failure(infra, "plan");
        // What the stack keeps has stopped it. It is written all the same, unless all was to go (1.12), and says as far as it
        // came what would take that away.
        if matches!(failure, Failure::Refused(_))
            && let Ok(plan) = tofu.show(&file).await
        {
            let refusals = guard::refusals(&plan, &protected);
            let summary = Summary { environment: infra.name, plan: &plan, protected: &protected, refusals: &refusals };
            tell(infra, how, &summary.markdown(None), summary.detail(), &summary.text())?;
        }
        shelf.clear()?;
        return Err(failure);
    }
    let known = Known::of(infra, &handed_over)?;
    // Asking the program again what it has planned takes it as long as planning did: not where there is nothing in it.
    let shown = changes || drifted || !known.is_so();
    let (plan, state) = if shown {
        // A state that has moved on meanwhile is noticed by the program itself, when it is to apply the plan.
        infra.ask(async { tokio::try_join!(tofu.show(&file), tofu.state_version()) }).await?
    } else {
        (Plan::of_nothing(read), StateVersion::default())
    };
    let refusals = guard::refusals(&plan, &protected);
    let summary = Summary { environment: infra.name, plan: &plan, protected: &protected, refusals: &refusals };
    step.finish(&summary.counts());
    let checked = if shown { check(infra, &plan, &handed_over) } else { Ok(()) };
    if checked.is_err() || !refusals.is_empty() || !changes {
        shelf.clear()?;
    }
    checked?;
    known.keep()?;
    for entry in guard::idle(&plan, &protected) {
        infra.report.warn(&format!("`protect` names {entry}, and there is no such resource in the stack or its state"));
    }

    let mut detail = summary.detail();
    let mut text = summary.text();
    let mut approval = None;
    if changes && refusals.is_empty() {
        let offer;
        (offer, approval) = keep(infra, &source, state)?;
        text.push_str(&offer);
        if let Some(digest) = &approval {
            detail["approval"] = digest.clone().into();
        }
    }
    tell(infra, how, &summary.markdown(approval.as_deref()), detail, &text)?;
    if !refusals.is_empty() {
        return Err(guard::refused(infra.name, &refusals));
    }
    if changes { Err(Failure::Pending) } else { Ok(()) }
}

/// Keeps the plan that was written. Gives what to say of it, and what stands for it where it may be applied.
fn keep(infra: &Infra<'_>, source: &Source, state: StateVersion) -> Result<(String, Option<String>)> {
    let (shelf, name, version) = (infra.shelf(), infra.name, source.version.clone());
    let plan = sha256_file(&shelf.plan())?;
    let record = Record { environment: name.to_owned(), version, plan, state, made: Timestamp::now() };
    shelf.keep(&record)?;
    if record.version != source.commit[..12] {
        let version = record.version;
        return Ok((format!("\n\nto look at only: it was made of {version}, and only a commit is applied"), None));
    }
    let (minutes, digest) = (infra.stack.approval_lasts.as_secs() / 60, record.approval());
    let offer = format!(
        "\n\napply it   cargo xtask tofu apply {name}     (within {minutes} minutes)\n\
         in CI      cargo xtask tofu apply {name} --approve {digest}"
    );
    Ok((offer, Some(digest)))
}

/// Says it, in all the ways that it was asked for.
fn tell(infra: &Infra<'_>, how: &How, page: &str, detail: Value, text: &str) -> Result<()> {
    if let Some(path) = &how.markdown {
        fs_err::write(path, infra.report.redactor().redact(page).as_ref()).context("write the summary")?;
    }
    infra.report.result(detail, text);
    Ok(())
}

/// What makes a plan unfit, though the program made it.
fn check(infra: &Infra<'_>, plan: &Plan, handed_over: &[&str]) -> Result<(), Failure> {
    if plan.errored {
        return Err(anyhow!("the plan for {} is not whole", infra.name).into());
    }
    // The program passes over a variable that the stack does not have.
    let given = infra.stack.variables.keys().map(String::as_str).chain(handed_over.iter().copied());
    let unknown: Vec<&str> = given.filter(|name| !plan.variables.contains(*name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = plan.variables.iter().map(String::as_str).collect();
    Err(Failure::Usage(anyhow!(
        "deploy.yaml gives {} the variables {}, which the stack {} does not declare\n  it declares: {}",
        infra.name,
        unknown.join(", "),
        infra.stack.folder,
        known.join(", ")
    )))
}

/// That the stack declares the variables that it is given. It is known for as long as neither they nor its files change.
struct Known {
    file: Utf8PathBuf,
    what: String,
}

impl Known {
    fn of(infra: &Infra<'_>, handed_over: &[&str]) -> Result<Self> {
        let names: Vec<&str> =
            infra.stack.variables.keys().map(String::as_str).chain(handed_over.iter().copied()).collect();
        let what = format!("{}\n{}\n", ready::stamp(infra)?, names.join("\n"));
        Ok(Self { file: infra.folder.join("declared"), what })
    }

    fn is_so(&self) -> bool {
        fs_err::read_to_string(&self.file).is_ok_and(|known| known == self.what)
    }

    fn keep(&self) -> Result<()> {
        if self.is_so() { Ok(()) } else { replace_file(&self.file, self.what.as_bytes()) }
    }
}
