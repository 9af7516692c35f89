//! Comments on pull requests.

use serde::Deserialize;
use serde_json::json;

use super::{GitHub, GitHubError, Result};

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// For the API.
    pub id: u64,
    /// Its page.
    pub html_url: String,
    #[serde(default)]
    body: Option<String>,
}

impl GitHub {
    /// Writes one comment on an issue or pull request, in place of the one with this marker that this token may change. Others can
    /// write the marker, too; their comments stay.
    pub async fn keep_comment(&self, number: u64, marker: &str, body: &str) -> Result<Comment> {
        let (body, what) = (json!({ "body": format!("{marker}\n{body}") }), format!("commenting on #{number}"));
        for comment in self.comments_with(number, marker).await? {
            match self.call(http::Method::PATCH, &format!("/issues/comments/{}", comment.id), Some(&body), &what).await
            {
                Err(GitHubError::Denied { .. }) => {}
                changed => return changed,
            }
        }
        let find = async || {
            let found = self.comments_with(number, marker).await?;
            Ok(found.into_iter().find(|comment| Some(comment.text()) == body["body"].as_str()))
        };
        self.create(&format!("/issues/{number}/comments"), &body, &what, find).await
    }

    async fn comments_with(&self, number: u64, marker: &str) -> Result<Vec<Comment>> {
        let what = format!("listing the comments on #{number}");
        let all: Vec<Comment> = self.list(&format!("/issues/{number}/comments"), None, &what).await?;
        Ok(all.into_iter().filter(|comment| comment.text().starts_with(marker)).collect())
    }
}

impl Comment {
    fn text(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }
}
