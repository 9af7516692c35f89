//! Comments on issues and pull requests.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, change, node, now};
use super::repository::Repository;
use super::route::Route;

const WRITE: &str = "issues:write|pull_requests:write";
const READ: &str = "issues:read|pull_requests:read";

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/issues/{issue_number}/comments", READ, list),
    Route::new("POST", "/issues/{issue_number}/comments", WRITE, create),
    Route::new("GET", "/issues/comments/{comment_id}", READ, get),
    Route::new("PATCH", "/issues/comments/{comment_id}", WRITE, patch),
    Route::new("DELETE", "/issues/comments/{comment_id}", WRITE, delete),
];

/// More than this GitHub refuses.
const LONGEST: usize = 65_536;

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let url = repository.issue(call)?["url"].clone();
    let since = call.query("since").unwrap_or_default();
    let fits =
        |comment: &&Value| comment["issue_url"] == url && comment["updated_at"].as_str().is_some_and(|at| at >= since);
    Ok(Answer::page(call, repository.issues.comments.iter().filter(fits).cloned().collect()))
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    check(call)?;
    let id = repository.next_id();
    let (asker, url) = (repository.asker(call), repository.url(&format!("/issues/comments/{id}")));
    let issue = repository.issue(call)?;
    issue["comments"] = (issue["comments"].as_u64().unwrap_or(0) + 1).into();
    issue["updated_at"] = now().into();
    let html = format!("{}#issuecomment-{id}", issue["html_url"].as_str().unwrap_or_default());
    let comment = json!({
        "id": id, "node_id": node("IC", id), "url": url, "html_url": html, "body": call.body["body"], "user": asker,
        "created_at": now(), "updated_at": now(), "issue_url": issue["url"], "author_association": "OWNER",
        "performed_via_github_app": null,
    });
    repository.issues.comments.push(comment.clone());
    let branch = repository.default_branch().to_owned();
    repository.happened(call.token.kind, "issue_comment", Some("created"), &branch, json!({"comment": comment}));
    Ok(Answer::created(comment))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(by_id(&mut repository.issues.comments, call.id("comment_id")?)?.clone()))
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    check(call)?;
    let comment = by_id(&mut repository.issues.comments, call.id("comment_id")?)?;
    change(comment, &call.body, &["body"]);
    comment["updated_at"] = now().into();
    Ok(Answer::ok(comment.clone()))
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("comment_id")?;
    let url = by_id(&mut repository.issues.comments, id)?["issue_url"].clone();
    repository.issues.comments.retain(|comment| comment["id"] != id);
    let count = repository.issues.comments.iter().filter(|comment| comment["issue_url"] == url).count();
    for issue in repository.issues.list.iter_mut().filter(|issue| issue["url"] == url) {
        issue["comments"] = count.into();
    }
    Ok(Answer::empty())
}

fn check(call: &Call) -> Result<(), Answer> {
    if call.text("body").is_some_and(|body| body.chars().count() > LONGEST) {
        return Err(Answer::custom("IssueComment", "body", "body is too long (maximum is 65536 characters)"));
    }
    Ok(())
}
