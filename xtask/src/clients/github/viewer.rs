//! Whose token it is. GitHub's REST API tells that of a person's token only, its GraphQL API of every one.

use serde_json::Value;

use super::{GitHub, GitHubError, Result};

const QUERY: &str = "query { viewer { login } }";

impl GitHub {
    /// The login of the token's owner: that of a person, or `NAME[bot]`. All jobs of GitHub Actions have the one `github-actions[bot]`.
    pub async fn viewer(&self) -> Result<String> {
        let what = "asking whose token it is";
        let mut attempts = self.attempts();
        loop {
            let failed = match self.ask::<Value>(QUERY, what).await {
                Ok(answer) => {
                    let login = answer["data"]["viewer"]["login"].as_str().map(str::to_owned);
                    let why = "the answer names nobody".to_owned();
                    return login.ok_or_else(|| GitHubError::Other { what: what.to_owned(), why });
                }
                Err(failed) => failed,
            };
            let Some(wait) = failed.passes() else { return Err(failed.error) };
            if !attempts.again(wait).await {
                return Err(failed.error);
            }
        }
    }
}
