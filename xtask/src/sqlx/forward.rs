//! Running migrations before they meet real data: all of them on an empty database, and the new ones on the schema of the
//! last release, with rows in its tables.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use tokio_postgres::Client;

use super::contract::{Broken, Contract, Query, queries};
use super::migrations::{number, released};
use super::problem::Problem;
use super::rows::fill;
use super::values::ROWS;
use crate::env::Env;
use crate::fs::{found, read_text};
use crate::hash::sha256;
use crate::release::Migration;
use crate::report::Notice;
use crate::state::history::Record;
use crate::tools::git;
use crate::tools::postgres::Server;
use crate::tools::sqlx::migrate::{Rejected, Script, apply, mark_applied};

/// The database with the schema of the last release, and then with the new migrations.
pub const DATABASE: &str = "forward";

/// The result of running the new migrations.
pub struct Forward {
    /// How they ran.
    pub outcome: Outcome,
    /// The queries of the last release that no longer hold. None of a migration that is marked irreversible.
    pub broken: Vec<Broken>,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// How the new migrations ran.
pub enum Outcome {
    /// They were not run: there is no earlier release, nothing is new, or the result would prove nothing.
    Skipped,
    /// They ran; the text says on what.
    Ran(String),
    /// One failed.
    Failed(Problem),
}

/// The problems of migrations' names. sqlx ignores a file without a number, and runs the others in the order of their
/// numbers.
pub fn misnamed(folder: &Utf8Path, migrations: &[Migration]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for migration in migrations.iter().filter(|migration| number(&migration.name).is_none()) {
        let file = folder.join(&migration.name);
        problems.push(Problem::at(file.as_str(), 1, 1, "sqlx ignores this file: its name is not NUMBER_name.sql"));
    }
    for pair in migrations.windows(2) {
        let [before, after] = pair else { continue };
        let file = folder.join(&after.name);
        let text = match (number(&before.name), number(&after.name)) {
            (Some(one), Some(other)) if one == other => format!("{} has the same number", before.name),
            (Some(one), Some(other)) if one > other => format!(
                "its number puts it before {}, but its name sorts after it; give both numbers the same count of digits",
                before.name
            ),
            _ => continue,
        };
        problems.push(Problem::at(file.as_str(), 1, 1, text));
    }
    problems
}

/// The text of migrations, in the order in which they run.
pub fn scripts<'m>(
    env: &Env<'_>,
    folder: &Utf8Path,
    migrations: impl IntoIterator<Item = &'m Migration>,
) -> Result<Vec<Script>> {
    let mut all: Vec<&Migration> = migrations.into_iter().collect();
    all.sort_by_key(|migration| number(&migration.name));
    let read = |migration: &&Migration| {
        let file = folder.join(&migration.name);
        Ok(Script { sql: read_text(env.root().join(&file))?, file: file.into_string() })
    };
    all.iter().map(read).collect()
}

/// Runs migrations on an empty database. Returns the first that fails.
pub async fn run_all(client: &Client, scripts: &[Script]) -> Result<Option<Problem>> {
    let failed = apply_all(client, scripts).await?;
    Ok(failed.map(|(script, rejected)| problem(script, &rejected, "does not run on an empty database")))
}

/// Rebuilds the schema of the last release, puts rows into every table, and runs the new migrations on it. Where they ran, a
/// service that starts on that database finds all of them applied.
pub async fn forward(
    env: &Env<'_>,
    server: &Server,
    folder: &Utf8Path,
    pending: &[&Migration],
    live: &[Record],
) -> Result<Forward> {
    let mut notices = Vec::new();
    let before = released(live);
    let Some(last) = live.last().filter(|_| !pending.is_empty() && !before.is_empty()) else {
        return Ok(Forward { outcome: Outcome::Skipped, broken: Vec::new(), notices });
    };
    let mut base = Vec::new();
    for (record, migration) in before {
        let Some(script) = as_released(env, folder, record, migration).await? else {
            notices.push(Notice::Warning(format!(
                "{} of {} is neither in the tree nor in its commit, so the new migrations were not run on its schema",
                migration.name,
                record.version()
            )));
            return Ok(Forward { outcome: Outcome::Skipped, broken: Vec::new(), notices });
        };
        base.push(script);
    }
    server.create_database(DATABASE).await?;
    let client = server.client(DATABASE).await?;
    if let Some((script, rejected)) = apply_all(&client, &base).await? {
        let outcome = Outcome::Failed(problem(script, &rejected, "no longer runs as it was released"));
        return Ok(Forward { outcome, broken: Vec::new(), notices });
    }
    let filled = fill(&client).await?;
    notices.extend(filled.empty.iter().map(|(table, why)| {
        Notice::Warning(format!("{table} has no rows in the test run: no generated row satisfies its rules ({why})"))
    }));
    let (version, new) = (last.version(), scripts(env, folder, pending.iter().copied())?);
    let schema = format!("the schema of {version} with {ROWS} rows in each table");
    // As the service runs them when it starts. Rows took a superuser.
    server.give_database(DATABASE).await?;
    let client = server.service_client(DATABASE).await?;
    let (failed, broken) = apply_new(&client, &new, pending, queries(env, last).await?).await?;
    let outcome = match failed {
        // The rows are generated. Real ones may follow rules that the schema does not have.
        Some((script, rejected)) if rejected.of_values => {
            let text =
                format!("fails on {schema}; these rows are generated, so change it only if it can fail on real ones");
            notices.push(Notice::Warning(problem(script, &rejected, &text).to_string()));
            Outcome::Skipped
        }
        Some((script, rejected)) => Outcome::Failed(problem(script, &rejected, &format!("does not run on {schema}"))),
        None => {
            let applied = base.iter().chain(&new).filter_map(|script| Some((number(script.name())?, script)));
            mark_applied(&client, applied).await?;
            let tables = if filled.tables == 1 { "1 table".to_owned() } else { format!("{} tables", filled.tables) };
            let ran = match pending.len() {
                1 => "1 new migration runs".to_owned(),
                more => format!("{more} new migrations run"),
            };
            Outcome::Ran(format!("{ran} on {version} with rows in {tables}"))
        }
    };
    Ok(Forward { outcome, broken, notices })
}

/// Applies the new migrations up to the first that fails, and compares the released queries before and after each one.
async fn apply_new<'s>(
    client: &Client,
    new: &'s [Script],
    pending: &[&Migration],
    queries: Vec<Query>,
) -> Result<(Option<(&'s Script, Rejected)>, Vec<Broken>)> {
    let (mut broken, mut before) = (Vec::new(), Contract::of(client, queries).await?);
    for script in new {
        if let Some(rejected) = apply(client, script).await? {
            return Ok((Some((script, rejected)), broken));
        }
        let after = Contract::of(client, before.queries()).await?;
        // Older code is not meant to run on what this one leaves.
        if !pending.iter().any(|migration| migration.irreversible && migration.name == script.name()) {
            broken.extend(before.broken(&after, &script.file));
        }
        before = after;
    }
    Ok((None, broken))
}

async fn apply_all<'s>(client: &Client, scripts: &'s [Script]) -> Result<Option<(&'s Script, Rejected)>> {
    for script in scripts {
        if let Some(rejected) = apply(client, script).await? {
            return Ok(Some((script, rejected)));
        }
    }
    Ok(None)
}

fn problem(script: &Script, rejected: &Rejected, what: &str) -> Problem {
    Problem::at(&script.file, rejected.line, 1, format!("this {what}: {}", rejected.text))
}

/// A migration as it was released: from the tree, or from the release's commit. None for one that was released with
/// changes that were never committed.
async fn as_released(
    env: &Env<'_>,
    folder: &Utf8Path,
    record: &Record,
    migration: &Migration,
) -> Result<Option<Script>> {
    let file = folder.join(&migration.name);
    let is_same = |sql: &String| sha256(sql.as_bytes()) == migration.sha256;
    let script = |sql| Script { file: file.to_string(), sql };
    let in_tree = found(read_text(env.root().join(&file))).context("read a released migration")?;
    if let Some(sql) = in_tree.filter(is_same) {
        return Ok(Some(script(sql)));
    }
    let Some(source) = &record.source else { return Ok(None) };
    // A shallow clone does not have the commit. That is no reason to fail.
    let committed = git::show(env.root(), &source.commit, file.as_str()).await.ok().flatten();
    Ok(committed.filter(is_same).map(script))
}
