//! Everything that can be known to go wrong, before anything changes. All problems are shown at once.

mod source;

use anyhow::{Result, anyhow};

use crate::check::{Check, Verdict};
use crate::config::Need;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::Source;
use crate::report::Step;
use crate::setup::missing_packages;
use crate::targets::Target;
use crate::tools::apt::{self, Installer};
use crate::tools::git;
use crate::web::{self, Decision};

/// Checks everything while `source` finds out what is checked out, installs the programs that the build needs where that takes
/// no decision, and fails with every problem there is.
pub async fn preflight(
    env: &Env<'_>,
    target: &Target<'_>,
    source: impl Future<Output = Result<Source, Failure>>,
    allow_branch: bool,
) -> Result<Source, Failure> {
    // The headline comes before the step.
    let found = async { source.await.map(|source| (source, env.report.begin(Step::Preflight))) };
    let web = async { Ok(check_web(env, target).await) };
    let ((source, step), mut checks, mut web) = tokio::try_join!(found, checks(env, target), web)?;
    // An image is built by its builder, and from a commit.
    if target.has_stack() || env.environment.media.is_some() {
        checks.extend(source::checks(env, &source, allow_branch).await);
    } else if env.config.service.image && !source.is_clean() {
        checks.push(source::uncommitted("and an image is built from a commit"));
    }
    let missing = match target.runs_images() {
        true => Vec::new(),
        false => missing_packages(env.config, |need| *need == Need::Build),
    };
    if !missing.is_empty() {
        match Installer::find(&missing).await? {
            Installer::Manual(command) => {
                checks.push(Check::bad("programs", format!("missing: {}", missing.join(", ")), command))
            }
            installer => {
                env.report.note(&format!("installing what the build needs: {}", missing.join(", ")));
                step.progress(&format!("apt-get install {}", missing.join(" ")));
                installer.install(&missing, |line| step.output(line)).await?;
                checks.push(Check::good("programs", format!("installed {}", missing.join(", "))));
                // Node.js may be one of them.
                web = check_web(env, target).await;
            }
        }
    }
    checks.extend(web);
    let (text, failure) = judge(env, &checks);
    match failure {
        None => {
            step.finish(&text);
            Ok(source)
        }
        Some(error) => {
            step.fail(&text);
            Err(error.into())
        }
    }
}

/// The same checks, and what preflight would install. Changes nothing.
pub async fn preview(env: &Env<'_>, target: &Target<'_>) -> Result<(), Failure> {
    let step = env.report.begin(Step::Preflight);
    let (checks, web) = tokio::join!(checks(env, target), check_web(env, target));
    let mut checks = checks?;
    checks.extend(web);
    let (text, failure) = judge(env, &checks);
    let missing = missing_packages(env.config, |need| *need == Need::Build);
    if failure.is_none() {
        step.finish(&text)
    } else {
        step.fail(&text)
    }
    if !missing.is_empty() {
        let how = match Installer::find(&missing).await? {
            Installer::Manual(command) => format!("to be installed by you: {command}"),
            Installer::Direct | Installer::Sudo => format!("packages that would be installed: {}", missing.join(", ")),
        };
        env.report.note(&how);
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Every check of this environment, none of which changes anything.
pub async fn checks(env: &Env<'_>, target: &Target<'_>) -> Result<Vec<Check>, Failure> {
    let (git, of_target) = tokio::join!(git_checks(env), target.checks());
    let mut checks = vec![programs_for_features(env)];
    checks.extend(git);
    checks.extend(of_target?);
    Ok(checks)
}

/// Whether the web UI can be built, where the target builds it. That its programs are missing is said with all that are.
pub async fn check_web(env: &Env<'_>, target: &Target<'_>) -> Option<Check> {
    if target.runs_images() || env.config.service.web.is_none() || !web::missing_programs().is_empty() {
        return None;
    }
    match web::decide(env.config).await {
        Ok(None) => None,
        Ok(Some(Decision::Build(version))) => Some(Check::good("web", format!("Node.js {version}"))),
        Ok(Some(Decision::Off(why))) => Some(Check::doubtful("web", format!("the web UI is off: {why}"))),
        Err(error) => Some(Check::failed("web", error.into())),
    }
}

async fn git_checks(env: &Env<'_>) -> Vec<Check> {
    // A rule for folders does not count for a link to one.
    let path = if env.root().join(".deploy").is_symlink() { ".deploy" } else { ".deploy/" };
    vec![match git::ignores(env.root(), path).await {
        Ok(true) => Check::good("ignored", ".deploy is ignored by git"),
        Ok(false) => Check::bad(
            "ignored",
            "git does not ignore .deploy, so every deploy would change the tree it is of",
            "echo /.deploy >> .gitignore",
        ),
        Err(error) => git_failed("git", &error),
    }]
}

/// A check that git could not answer.
fn git_failed(name: &'static str, error: &anyhow::Error) -> Check {
    let fix = git::remedy(error).unwrap_or_else(|| "see what this says: git status".to_owned());
    Check::bad(name, format!("{error:#}"), fix)
}

fn programs_for_features(env: &Env<'_>) -> Check {
    let features = env.config.service.programs.iter().filter_map(|program| match &program.need {
        Need::Feature(feature) => Some((program, feature)),
        Need::Build => None,
    });
    let names: Vec<&str> = features.clone().map(|(program, _)| program.name.as_str()).collect();
    let missing = apt::missing(&names);
    if missing.is_empty() {
        let text = if names.is_empty() {
            "none takes a program".to_owned()
        } else {
            format!("{} programs found", names.len())
        };
        return Check::good("features", text);
    }
    let off: Vec<String> = features
        .filter(|(program, _)| missing.contains(&program.name.as_str()))
        .map(|(program, feature)| {
            format!("{feature} is off without {} (Debian package {})", program.name, program.package)
        })
        .collect();
    Check::doubtful("features", off.join("; "))
}

fn judge(env: &Env<'_>, checks: &[Check]) -> (String, Option<anyhow::Error>) {
    let mut problems = Vec::new();
    for check in checks {
        match &check.verdict {
            Verdict::Good => {}
            Verdict::Doubtful => env.report.warn(&check.found),
            Verdict::Bad { fix } => problems.push(format!("{}: {}\n    → {fix}", check.name, check.found)),
        }
    }
    if problems.is_empty() {
        return (format!("{} checks", checks.len()), None);
    }
    let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    let error = anyhow!("{count} to fix before anything is changed:\n  {}", problems.join("\n  "));
    (count, Some(error))
}
