//! The one issue that says how an environment has drifted: opened, kept true, and closed when nothing differs any more. It is known
//! by its label and by a hidden mark in its text, so that an issue of a person with that label is left alone.

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use crate::clients::github::{Closed, GitHub, Issue};

/// How many differences are listed. GitHub takes no text of more than 65,536 characters.
const LISTED: usize = 100;

/// What the issue says.
pub struct Finding<'a> {
    /// The project's name.
    pub project: &'a str,
    /// The environment's name.
    pub environment: &'a str,
    /// What differs, a line each; none when nothing does.
    pub differences: Vec<String>,
    /// The last time when all of it was as it should be, in words.
    pub since: String,
    /// How to keep what is there.
    pub adopt: String,
    /// How to go back to what was deployed.
    pub revert: String,
}

/// What became of the issue, with its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was opened.
    Opened(String),
    /// Something else differs now.
    Updated(String),
    /// It says the same already.
    Unchanged(String),
    /// Nothing differs any more.
    Closed(String),
    /// Nothing differs, and there is none.
    None,
}

/// Makes the issue say what was found at this time. Where two runs have opened one each, the older one stays.
pub async fn keep(github: &GitHub, finding: &Finding<'_>, now: Timestamp) -> Result<Kept> {
    let title = format!("{} has drifted", finding.environment);
    match only(github, finding).await? {
        None if finding.differences.is_empty() => Ok(Kept::None),
        None => {
            let opened = github.open_issue(&title, &finding.body(now), &finding.label(), &finding.mark()).await;
            let opened = opened.context("open an issue about the drift")?;
            // Another run may have looked before this one's was there, and opened one too. Both look again, and see both.
            let kept = only(github, finding).await?.filter(|older| older.number < opened.number);
            Ok(kept.map_or(Kept::Opened(opened.html_url), |older| Kept::Unchanged(older.html_url)))
        }
        Some(issue) if finding.differences.is_empty() => {
            let body = format!("{}\n\nNothing differs any more: {}\n", text(&issue).trim_end(), time(now));
            let closed = github.edit_issue(issue.number, &issue.title, &body, Some(Closed::Completed)).await;
            Ok(Kept::Closed(closed.context("close the issue about the drift")?.html_url))
        }
        Some(issue) => {
            let body = finding.body(issue.created_at);
            if text(&issue).replace("\r\n", "\n").trim_end() == body.trim_end() {
                return Ok(Kept::Unchanged(issue.html_url));
            }
            let edited = github.edit_issue(issue.number, &title, &body, None).await;
            Ok(Kept::Updated(edited.context("update the issue about the drift")?.html_url))
        }
    }
}

/// The open issue about this environment's drift: the oldest one. Closes the others.
async fn only(github: &GitHub, finding: &Finding<'_>) -> Result<Option<Issue>> {
    let (label, mark) = (finding.label(), finding.mark());
    let mut ours = github.open_issues(&label).await.context("look for the issue about the drift")?;
    ours.retain(|issue| text(issue).contains(&mark));
    // Two may have been opened in the same second.
    ours.sort_by_key(|issue| issue.number);
    let mut ours = ours.into_iter();
    let Some(oldest) = ours.next() else { return Ok(None) };
    for other in ours {
        let body = format!("{mark}\nThe same as #{}.\n", oldest.number);
        let closed = github.edit_issue(other.number, &other.title, &body, Some(Closed::NotPlanned)).await;
        closed.context("close a second issue about the drift")?;
    }
    Ok(Some(oldest))
}

impl Finding<'_> {
    fn label(&self) -> String {
        format!("drift:{}", self.environment)
    }

    fn mark(&self) -> String {
        format!("<!-- drift of {}/{} -->", self.project, self.environment)
    }

    /// The issue's text: the same for the same finding, so that an unchanged one is not written again.
    fn body(&self, found: Timestamp) -> String {
        let Self { environment, differences, since, adopt, revert, .. } = self;
        let mut listed = differences.iter().take(LISTED).cloned().collect::<Vec<_>>().join("\n");
        if differences.len() > LISTED {
            listed.push_str(&format!("\n… and {} more: cargo xtask drift {environment}", differences.len() - LISTED));
        }
        // An address may have backticks in it; the fence is longer than any run of them.
        let longest = listed.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(3.max(longest + 1));
        format!(
            "{}\n`{environment}` is not as it was deployed.\n\n{fence}text\n{listed}\n{fence}\n\n\
             Since: after {since}; found {}.\n\n\
             - To adopt what is there: {adopt}\n\
             - To go back to what was deployed, with the usual approval: `{revert}`\n\n\
             `cargo xtask drift {environment} --issue` writes this text, and closes the issue when nothing differs.\n",
            self.mark(),
            time(found)
        )
    }
}

fn text(issue: &Issue) -> &str {
    issue.body.as_deref().unwrap_or_default()
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
