//! Issues of the repository.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::releases::encoded;
use super::{GitHub, Result};

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text, as Markdown.
    #[serde(default)]
    pub body: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// Its page.
    pub html_url: String,
    /// Set where it is a pull request: the API lists both.
    #[serde(default)]
    pull_request: Option<Value>,
}

/// How an issue is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// What it is about is done.
    Completed,
    /// Nothing is done about it.
    NotPlanned,
}

impl GitHub {
    /// The open issues with a label, oldest first.
    pub async fn open_issues(&self, label: &str) -> Result<Vec<Issue>> {
        let path = format!("/issues?state=open&sort=created&direction=asc&labels={}", encoded(label));
        let all: Vec<Issue> = self.list(&path, None, &format!("listing the issues with the label {label}")).await?;
        Ok(all.into_iter().filter(|issue| issue.pull_request.is_none()).collect())
    }

    /// Opens an issue. `marker` is a part of its text that no other issue with this label has.
    pub async fn open_issue(&self, title: &str, body: &str, label: &str, marker: &str) -> Result<Issue> {
        let new = json!({ "title": title, "body": body, "labels": [label] });
        self.create("/issues", &new, "opening an issue", async || {
            let open = self.open_issues(label).await?;
            Ok(open.into_iter().find(|issue| issue.body.as_deref().is_some_and(|body| body.contains(marker))))
        })
        .await
    }

    /// Replaces the title and the text of an issue, and closes it where `closed` says so.
    pub async fn edit_issue(&self, number: u64, title: &str, body: &str, closed: Option<Closed>) -> Result<Issue> {
        let mut edit = json!({ "title": title, "body": body });
        if let Some(closed) = closed {
            edit["state"] = "closed".into();
            edit["state_reason"] = match closed {
                Closed::Completed => "completed",
                Closed::NotPlanned => "not_planned",
            }
            .into();
        }
        let what = format!("editing the issue {number}");
        self.call(http::Method::PATCH, &format!("/issues/{number}"), Some(&edit), &what).await
    }
}
