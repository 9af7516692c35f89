//! The service's compiled-in queries and its migrations, checked with a temporary PostgreSQL: the committed query cache is
//! what the database answers, and new migrations run on the schema of the last release.

mod differences;
mod forward;
pub mod migrations;
mod problem;
mod rows;
mod schema;
mod values;

use anyhow::Result;

pub use self::problem::{Problem, Problems};
use self::schema::{Inspection, NewMigrations};
pub use self::schema::{Migrated, Schema};
use crate::report::{Notice, Ongoing, Summary};
use crate::state::history::Record;
use crate::tools::sqlx::cache::{Change, FOLDER, STAMP, Stamp};

/// The result of [`prepare`].
pub struct Prepared {
    /// Queries in the cache.
    pub queries: usize,
    /// How the cache changed.
    pub change: Change,
    /// Whether its stamp changed.
    pub stamp_changed: bool,
    /// How the migrations ran.
    pub migrations: String,
    /// To be shown after the step.
    pub notices: Vec<Notice>,
}

/// The result of [`check`] and [`fresh`].
pub struct Checked {
    /// Queries in the cache.
    pub queries: usize,
    /// How the migrations ran; empty if none had to.
    pub migrations: String,
    /// To be shown after the step.
    pub notices: Vec<Notice>,
}

impl Summary for Prepared {
    fn summary(&self) -> String {
        let Change { new, changed, gone } = self.change;
        let change = match (new, changed, gone) {
            (0, 0, 0) if self.stamp_changed => "no query has changed, but the stamp has".to_owned(),
            (0, 0, 0) => "nothing has changed".to_owned(),
            _ => format!("{new} new, {changed} changed, {gone} gone"),
        };
        format!("{} queries in {FOLDER}: {change}\n{}", self.queries, self.migrations)
    }
}

impl Summary for Checked {
    fn summary(&self) -> String {
        format!("{} queries fresh\n{}", self.queries, self.migrations).trim_end().to_owned()
    }
}

/// Rewrites the query cache with a database's answers. `live` are the records of the releases that went live, oldest first.
/// Fails with [`Problems`], and then changes nothing.
pub async fn prepare(schema: &Schema<'_>, live: &[Record], step: &Ongoing) -> Result<Prepared> {
    let Inspection { cache, migrations, problems, notices, .. } = schema.inspect(live, step).await?;
    let notices = judge(problems, Vec::new(), notices)?;
    let (stamp, old) = (schema.stamp(&cache), Stamp::read(&schema.folder)?);
    let change = cache.write(&schema.folder, &stamp)?;
    let stamp_changed = old.as_ref() != Some(&stamp);
    Ok(Prepared { queries: cache.0.len(), change, stamp_changed, migrations, notices })
}

/// Compares the committed cache with a database's answers, and runs the migrations. Changes nothing. Fails with [`Problems`].
pub async fn check(schema: &Schema<'_>, live: &[Record], step: &Ongoing) -> Result<Checked> {
    let inspection = schema.inspect(live, step).await?;
    let mut stale = schema.differences(&inspection).await?;
    // With a stale stamp, every deploy would repeat this.
    if let (true, Some(why)) = (stale.is_empty(), schema.committed()?.1) {
        stale.push(Problem::at(&format!("{FOLDER}/{STAMP}"), 1, 1, why));
    }
    let Inspection { cache, migrations, problems, notices, .. } = inspection;
    let notices = judge(problems, stale, notices)?;
    Ok(Checked { queries: cache.0.len(), migrations, notices })
}

/// The same for a deploy: starts a database only if the stamp of the cache is stale or a migration is new.
pub async fn fresh(schema: &Schema<'_>, live: &[Record], step: &Ongoing) -> Result<Checked> {
    let (committed, stale) = schema.committed()?;
    let Some(why) = stale else {
        let NewMigrations { ran, problems, notices } = schema.run_new_migrations(live, step).await?;
        let notices = judge(problems, Vec::new(), notices)?;
        return Ok(Checked { queries: committed.0.len(), migrations: ran.unwrap_or_default(), notices });
    };
    let inspection = schema.inspect(live, step).await?;
    let stale = schema.differences(&inspection).await?;
    let Inspection { cache, migrations, problems, notices, .. } = inspection;
    let mut notices = judge(problems, stale, notices)?;
    notices.push(Notice::Warning(format!("{why}, so every deploy starts a database; type: cargo xtask sqlx prepare")));
    Ok(Checked { queries: cache.0.len(), migrations, notices })
}

/// Fails with every problem, and passes the notices on.
fn judge(mut problems: Vec<Problem>, stale: Vec<Problem>, notices: Vec<Notice>) -> Result<Vec<Notice>> {
    let next = match (problems.is_empty(), stale.is_empty()) {
        (true, true) => return Ok(notices),
        (true, false) => "type: cargo xtask sqlx prepare",
        (false, _) => "fix this, then type: cargo xtask sqlx prepare",
    };
    problems.extend(stale);
    Err(Problems { all: problems, next, notices }.into_error())
}
