//! What may be deployed to a stack: a commit that others can get, of the branch that releases come from.

use anyhow::Result;

use super::git_failed;
use crate::check::Check;
use crate::env::Env;
use crate::release::Source;
use crate::tools::git;

/// The checks of what is checked out. None changes anything.
pub async fn checks(env: &Env<'_>, source: &Source, allow_branch: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    if !source.is_clean() {
        checks.push(uncommitted("and only a commit can be deployed"));
    }
    checks.push(published(env, source).await.unwrap_or_else(|error| git_failed("source", &error)));
    if !allow_branch {
        checks.push(on_main(env, source).await.unwrap_or_else(|error| git_failed("source", &error)));
    }
    checks
}

/// A tree with changes that are in no commit, and why that is a problem.
pub fn uncommitted(why: &str) -> Check {
    let fix = "commit the changes, or put them aside: git stash --include-untracked";
    Check::bad("source", format!("the tree has uncommitted changes, {why}"), fix)
}

/// Whether a remote has the commit. CI that checks out a tag has no branch of the remote.
async fn published(env: &Env<'_>, source: &Source) -> Result<Check> {
    if !git::has_remote(env.root()).await? {
        return Ok(Check::doubtful("source", "the repository has no remote, so only this machine has the commit"));
    }
    let references: &[&str] = if source.branch.is_some() { &["refs/remotes"] } else { &["refs/remotes", "refs/tags"] };
    if git::is_in(env.root(), &source.commit, references).await? {
        return Ok(Check::good("source", "the remote has the commit"));
    }
    Ok(Check::bad("source", format!("no remote has the commit {}", &source.commit[..12]), "git push"))
}

async fn on_main(env: &Env<'_>, source: &Source) -> Result<Check> {
    let (main, name) = (&env.config.source.main_branch, env.name());
    let references = [format!("refs/heads/{main}"), format!("refs/remotes/*/{main}")];
    if git::is_in(env.root(), &source.commit, &references.each_ref().map(String::as_str)).await? {
        return Ok(Check::good("source", format!("the commit is in {main}")));
    }
    Ok(Check::bad(
        "source",
        format!("the commit {} is not in {main}, the branch that releases come from", &source.commit[..12]),
        format!("git checkout {main}; or, to deploy it all the same: cargo xtask deploy {name} --allow-branch"),
    ))
}
