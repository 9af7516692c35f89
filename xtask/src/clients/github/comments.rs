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
    #[serde(default)]
    author_association: String,
    #[serde(default)]
    user: Option<Author>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Author {
    r#type: String,
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
        let is_own = |comment: &Comment| comment.text().starts_with(marker) && comment.is_of_the_repository();
        Ok(all.into_iter().filter(is_own).collect())
    }
}

impl Comment {
    /// A program's, or that of a person of the repository: another author could change it afterwards.
    fn is_of_the_repository(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.r#type == "Bot")
            || matches!(self.author_association.as_str(), "OWNER" | "MEMBER" | "COLLABORATOR")
    }

    fn text(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }
}
