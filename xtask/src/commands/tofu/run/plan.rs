//! `tofu plan`

use anyhow::{Context as _, anyhow};
use camino::Utf8Path;
use serde_json::json;

use super::{enter, initialize, tell};
use crate::commands::Context;
use crate::commands::tofu::PlanArgs;
use crate::env::Env;
use crate::failure::Failure;
use crate::image::{ServiceImage, provenance};
use crate::release::Source;
use crate::report::Step;
use crate::state::history;
use crate::targets::Stack;
use crate::tofu::Workspace;
use crate::tofu::plan::{self, Planned, Purpose};
use crate::tofu::unseen::{self, Verdict};
use crate::tofu::variables::{ReleaseVariables, is_overridden};
use crate::tools::platform::variable;

impl PlanArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "plan").await?;
        initialize(&workspace).await?;
        // A plan of a pull request must not take the place of one that waits for its approval.
        let (purpose, number) = match (self.comment, self.destroy) {
            (true, _) => (Purpose::Show, Some(pull_request()?)),
            (false, true) => (Purpose::Destroy, None),
            (false, false) => (Purpose::Apply, None),
        };
        let planned = make(&workspace, purpose, self.image.as_deref()).await?;
        for entry in planned.unused_protect_entries() {
            env.report
                .warn(&format!("`protect` names {entry}, and neither the stack nor its state has such a resource"));
        }
        if let (Some(_), Some(why)) = (&planned.kept, workspace.local_plans()?) {
            env.report.note(&format!("the plan can be applied on this machine only: {why}"));
        }
        tell(&env, planned.unseen.iter().filter(|unseen| unseen.verdict != Verdict::Good));
        show(&env, &planned, self.markdown.as_deref())?;
        if let Some(number) = number {
            let marker = format!("<!-- xtask: plan of {} -->", env.name());
            let page = env.report.shown(&planned.details().markdown(None));
            let comment = env.github().await?.keep_comment(number, &marker, &page).await;
            let comment = comment.context("show the plan in the pull request")?;
            env.report.note(&format!("the plan is in the pull request: {}", comment.html_url));
        }
        planned.guard()?;
        unseen::refuse_exposed(&planned.unseen)?;
        if planned.has_changes { Err(Failure::Pending) } else { Ok(()) }
    }
}

/// The number of the pull request that the job is of.
fn pull_request() -> Result<u64, Failure> {
    let reference = variable("GITHUB_REF").unwrap_or_default();
    let number = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next()?.parse().ok());
    number.ok_or_else(|| {
        Failure::Usage(anyhow!(
            "--comment needs a pull request, and GITHUB_REF names none; it is for a job of the event `pull_request`"
        ))
    })
}

/// Plans the stack with the release of the checked-out commit, if deploy.yaml has `settings` for the environment. `image` is
/// the digest of an image that another machine pushed.
async fn make(workspace: &Workspace<'_>, purpose: Purpose, image: Option<&str>) -> Result<Planned, Failure> {
    let (env, source) = (workspace.env, &workspace.source);
    let stack = Stack::new(env);
    let mut settings = None;
    if env.environment.settings.is_some() {
        let media = stack.media().await?;
        settings = Some(env.report.step(Step::Provision, async |_| stack.settings(&media)).await?);
    }
    let mut release = settings.as_ref().map(|settings| ReleaseVariables { source, image: None, settings });
    if let Some(release) = &mut release
        && env.config.image.is_some()
        && !is_overridden(env, "image")?
    {
        let pushed = async {
            match stack.pushed_image(source, image).await {
                Err(Failure::Refused(why)) if purpose == Purpose::Show => serving_image(env, &stack, source, why).await,
                pushed => {
                    let pushed = pushed?;
                    if purpose != Purpose::Destroy {
                        verify(env, source, &pushed).await?;
                    }
                    Ok(pushed)
                }
            }
        };
        release.image = Some(env.stop.cancels("nothing was planned", Box::pin(pushed)).await?);
    } else if release.is_some() && env.environment.verify.is_some() {
        return Err(provenance::not_the_pushed_one(env));
    } else if image.is_some() {
        let name = env.name();
        let why =
            "it needs `image` and `settings` in deploy.yaml, and neither `variables` nor TF_VAR_image that sets it";
        return Err(Failure::Usage(anyhow!("--image has no effect on {name}: {why}")));
    }
    let plan = async |step: &_| plan::make(workspace, release.as_ref(), purpose, step, &env.stop).await;
    env.report.step(Step::Plan, plan).await
}

/// The image that serves, in place of one that is built only after a pull request is merged. `why` there is no such image is the
/// error where nothing serves.
async fn serving_image(
    env: &Env<'_>,
    stack: &Stack<'_>,
    source: &Source,
    why: anyhow::Error,
) -> Result<String, Failure> {
    let live = history::live(env.store()?).await?;
    let Some(digest) = live.as_ref().and_then(|live| live.digest.as_deref()) else { return Err(Failure::Refused(why)) };
    env.report.note("the registry does not have the image of this commit yet; planned with the image that serves");
    stack.pushed_image(source, Some(digest)).await
}

/// Verifies who built an image, `name@sha256:…`, where the environment requires a proof.
async fn verify(env: &Env<'_>, source: &Source, image: &str) -> Result<(), Failure> {
    let Some((_, digest)) = image.split_once('@').filter(|_| env.environment.verify.is_some()) else { return Ok(()) };
    let verified = async |_: &_| {
        let verified = provenance::verify(&ServiceImage::find(env)?, source, digest).await?;
        Ok(verified.context("the environment requires no proof")?)
    };
    let verified = env.report.step(Step::Provenance, verified);
    env.stop.cancels("nothing was planned", verified).await.map(drop)
}

fn show(env: &Env<'_>, planned: &Planned, markdown: Option<&Utf8Path>) -> Result<(), Failure> {
    let details = planned.details();
    let (mut json, mut text) = (details.json(), details.text());
    json["unseen"] = json!(planned.unseen);
    let approval = planned.applicable().map(|record| record.approval());
    if let Some(digest) = &approval {
        let (name, minutes) = (env.name(), env.stack()?.approval_lasts.as_secs() / 60);
        text.push_str(&format!(
            "\n\nto apply   cargo xtask tofu apply {name}     (within {minutes} minutes)\n\
             in CI      cargo xtask tofu apply {name} --approve {digest}"
        ));
        json["approval"] = digest.clone().into();
    } else if let Some(record) = &planned.kept {
        let version = &record.version;
        text.push_str(&format!("\n\nfor information only: the tree is {version}, and only a commit can be applied"));
    }
    if let Some(path) = markdown {
        let page = details.markdown(approval.as_deref());
        fs_err::write(path, env.report.shown(&page)).context("write the summary")?;
    }
    env.report.result(json, &text);
    Ok(())
}
