//! How two commits stand to each other.

use serde_json::json;

use super::answer::{Answer, Outcome, page};
use super::call::Call;
use super::commits::merge_base;
use super::repository::Repository;
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[Route::new("GET", "/compare/{basehead}", "contents:read", compare)];

fn compare(call: &Call, repository: &mut Repository) -> Outcome {
    let (base, head) = call.parameter("basehead").split_once("...").ok_or_else(Answer::not_found)?;
    let base_sha = repository.resolve(base).ok_or_else(Answer::not_found)?;
    let head_sha = repository.resolve(head).ok_or_else(Answer::not_found)?;
    let commits = &repository.commits;
    let no_common = || Answer::error(404, &format!("No common ancestor between {base} and {head}."));
    let merge_base = merge_base(commits, &base_sha, &head_sha).ok_or_else(no_common)?;
    let (before, after) = (commits.ancestors(&base_sha), commits.ancestors(&head_sha));
    let ahead = commits.ordered(after.difference(&before).copied());
    let behind = before.difference(&after).count();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let value = |sha: &str| commits.find(sha).map(|commit| commit.value(repository));
    let html = repository.html(&format!("/compare/{base}...{head}"));
    let count = ahead.len();
    let (links, ahead) = page(call, ahead.iter().map(|commit| commit.value(repository)).collect(), 250);
    let answer = Answer::ok(json!({
        "url": call.address(), "html_url": html, "permalink_url": html, "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"), "base_commit": value(&base_sha), "merge_base_commit": value(&merge_base),
        "status": status, "ahead_by": count, "behind_by": behind, "total_commits": count, "commits": ahead, "files": [],
    }));
    Ok(links.into_iter().fold(answer, |answer, links| answer.header("link", &links)))
}
