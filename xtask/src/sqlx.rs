//! The service's compiled-in queries and its migrations, checked with a temporary PostgreSQL: the committed query cache is
//! what the database answers, and new migrations run on the schema of the last release.

mod base;
mod contract;
mod differences;
mod forward;
#[cfg(feature = "cloud")]
mod lint;
pub mod migrations;
#[cfg(not(feature = "cloud"))]
mod no_lint;
mod problem;
mod rows;
mod schema;
mod values;

use anyhow::Result;

pub use self::base::Base;
#[cfg(not(feature = "cloud"))]
use self::no_lint as lint;
pub use self::problem::{Problem, Problems};
use self::schema::{Inspection, NewMigrations};
pub use self::schema::{Migrated, Schema};
use crate::report::{Notice, Ongoing, Summary};
use crate::state::history::Record;
use crate::tools::sqlx::cache::{Change, FOLDER, STAMP, Stamp};

/// What becomes of a finding of the linter.
const LIFT: &str = "change the migration, or write above a statement: -- squawk-ignore RULE -- REASON\n    \
                    then type: cargo xtask sqlx prepare";

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
    let notices = judge(problems, Vec::new(), Vec::new(), notices)?;
    let (stamp, old) = (schema.stamp(&cache), Stamp::read(&schema.folder)?);
    let change = cache.write(&schema.folder, &stamp)?;
    let stamp_changed = old.as_ref() != Some(&stamp);
    Ok(Prepared { queries: cache.0.len(), change, stamp_changed, migrations, notices })
}

/// Compares the committed cache with a database's answers, runs the migrations, and looks at the new ones: what they lock, and whether
/// the queries of the last release hold after them. Changes nothing. Fails with [`Problems`].
pub async fn check(schema: &Schema<'_>, base: Base, step: &Ongoing) -> Result<Checked> {
    let Base { releases, notices: mut told } = base;
    let (mut findings, notices) = match schema.new_scripts(&releases)? {
        new if new.is_empty() => Default::default(),
        new => lint::lint(&new)?,
    };
    told.extend(notices);
    let mut inspection = schema.inspect(&releases, step).await?;
    findings.extend(schema.located(std::mem::take(&mut inspection.broken), &releases).await?);
    let mut stale = schema.differences(&inspection).await?;
    // With a stale stamp, every deploy would repeat this.
    if let (true, Some(why)) = (stale.is_empty(), schema.committed()?.1) {
        stale.push(Problem::at(&format!("{FOLDER}/{STAMP}"), 1, 1, why));
    }
    let Inspection { cache, migrations, problems, notices, .. } = inspection;
    told.extend(notices);
    let notices = judge(problems, findings, stale, told)?;
    Ok(Checked { queries: cache.0.len(), migrations, notices })
}

/// The same for a deploy, without a look at what the new migrations lock: starts a database only if the stamp of the cache is stale or
/// a migration is new. The release is tried on the new schema instead.
pub async fn fresh(schema: &Schema<'_>, live: &[Record], step: &Ongoing) -> Result<Checked> {
    let (committed, stale) = schema.committed()?;
    let Some(why) = stale else {
        let NewMigrations { ran, problems, notices } = schema.run_new_migrations(live, step).await?;
        let notices = judge(problems, Vec::new(), Vec::new(), notices)?;
        return Ok(Checked { queries: committed.0.len(), migrations: ran.unwrap_or_default(), notices });
    };
    let inspection = schema.inspect(live, step).await?;
    let stale = schema.differences(&inspection).await?;
    let Inspection { cache, migrations, problems, notices, .. } = inspection;
    let mut notices = judge(problems, Vec::new(), stale, notices)?;
    notices.push(Notice::Warning(format!("{why}, so every deploy starts a database; type: cargo xtask sqlx prepare")));
    Ok(Checked { queries: cache.0.len(), migrations, notices })
}

/// Fails with every problem, and passes the notices on.
fn judge(
    mut problems: Vec<Problem>,
    findings: Vec<Problem>,
    stale: Vec<Problem>,
    notices: Vec<Notice>,
) -> Result<Vec<Notice>> {
    let next = match (problems.is_empty(), findings.is_empty(), stale.is_empty()) {
        (true, true, true) => return Ok(notices),
        (true, true, false) => "type: cargo xtask sqlx prepare",
        (true, false, _) => LIFT,
        _ => "fix this, then type: cargo xtask sqlx prepare",
    };
    problems.extend(findings);
    problems.extend(stale);
    Err(Problems { all: problems, next, notices }.into_error())
}
