//! The log of a stack's container, which its platform keeps in Cockpit.

use anyhow::{Context as _, anyhow};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use super::Stack;
use super::outputs::Outputs;
use crate::clients::loki::{Following, Line, Loki, MOST_LINES, of_container};
use crate::env::Env;
use crate::failure::Failure;
use crate::state::history;
use crate::tofu::{self, Workspace};
use crate::tools::git;

/// The variables with the address of the logs and the token that reads them.
const URL: &str = "COCKPIT_LOGS_URL";
const TOKEN: &str = "COCKPIT_TOKEN";

/// How far back the last lines are looked for: as long as Cockpit keeps logs without a fee.
const BACK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The log of a container.
pub struct Log {
    loki: Loki,
    following: Following,
}

impl Log {
    /// The last lines, the newest last. Those after them come from [`Log::more`].
    pub async fn last(&mut self, count: usize) -> Result<Vec<String>, Failure> {
        let since = self.following.from();
        // Loki refuses a limit of none.
        let lines = self.loki.last(since, count.max(1)).await.map_err(anyhow::Error::from)?;
        self.following = Following::after(&lines, since);
        Ok(lines.into_iter().rev().take(count).rev().map(|line| line.text).collect())
    }

    /// The lines that came since, and whether there are more already.
    pub async fn more(&mut self) -> Result<(Vec<String>, bool), Failure> {
        let (lines, has_more) = self.loki.more(&mut self.following).await.map_err(anyhow::Error::from)?;
        Ok((lines.into_iter().map(|line: Line| line.text).collect(), has_more))
    }
}

impl Stack<'_> {
    /// The log of the container. Fails where no address or token is set, or where the stack returns no container.
    pub async fn log(&self) -> Result<Log, Failure> {
        // What a person has to set is said before OpenTofu is asked.
        let loki = |container: &str| loki(self.env, of_uuid(container));
        loki("")?;
        let name = self.env.name();
        // The newest one, also of a first release that failed.
        let records = history::recent(self.env.store()?).await?;
        if let Some(container) = records.iter().rev().find_map(|record| record.container.as_deref()) {
            return Ok(Log { loki: loki(container)?, following: Following::after(&[], back()) });
        }
        let source = git::source(self.env.root(), git::Filters::Off).await?;
        let workspace = Workspace::enter(self.env, source, &format!("cargo xtask logs {name}")).await?;
        if !tofu::is_initialized(&workspace)? {
            return Err(
                anyhow!("OpenTofu is not initialized here for {name}; type: cargo xtask tofu init {name}").into()
            );
        }
        let container = Outputs::read(&workspace, &self.env.stop).await?.container;
        let missing = || format!("the stack {} has no output `container_id`", workspace.stack.folder);
        Ok(Log { loki: loki(&container.with_context(missing)?)?, following: Following::after(&[], back()) })
    }

    /// The last lines of a container since a time. None where no address and token are set.
    pub async fn log_since(&self, container: &str, since: Timestamp) -> Result<Vec<String>, Failure> {
        if self.env.value(URL)?.is_none() {
            return Ok(Vec::new());
        }
        let lines = loki(self.env, of_uuid(container))?.last(since, MOST_LINES).await.map_err(anyhow::Error::from)?;
        Ok(lines.into_iter().map(|line| line.text).collect())
    }
}

/// Whether the logs can be read. None where no address and token are set.
pub(super) async fn check(env: &Env<'_>) -> Result<Option<()>, Failure> {
    if env.value(URL)?.is_none() && env.secret(TOKEN)?.is_none() {
        return Ok(None);
    }
    // Of no container: only the answer's status counts.
    loki(env, of_uuid("none"))?.last(back(), 1).await.map_err(anyhow::Error::from)?;
    Ok(Some(()))
}

/// The log that a query selects, from a time on. None where no address is set.
pub(super) fn of(env: &Env<'_>, query: String, since: Timestamp) -> Result<Option<Log>, Failure> {
    if env.value(URL)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Log { loki: loki(env, query)?, following: Following::after(&[], since) }))
}

/// The query for a container with an id, `<region>/<UUID>`.
fn of_uuid(id: &str) -> String {
    of_container(id.rsplit('/').next().unwrap_or(id))
}

fn loki(env: &Env<'_>, query: String) -> Result<Loki, Failure> {
    let name = env.name();
    let (Some(url), Some(token)) = (env.value(URL)?, env.secret(TOKEN)?) else {
        return Err(Failure::Refused(anyhow!(
            "the log of {name} is in Scaleway's Cockpit, and {URL} or {TOKEN} has no value\n  put both into .env.{name} (mode 0600) or \
             into the environment: the API URL of the data source \"Scaleway Logs\", and a token that may query logs\n  \
             both are in Scaleway's console, at Cockpit"
        )));
    };
    Ok(Loki::new(url.expose_secret(), &token, query).map_err(anyhow::Error::from)?)
}

pub(super) fn back() -> Timestamp {
    Timestamp::now().checked_sub(BACK).unwrap_or(Timestamp::UNIX_EPOCH)
}
