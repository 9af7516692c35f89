//! Migrations, run before anybody's data meets them: all of them on an empty database, and the new ones on the schema of
//! what was released, with rows in it.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use tokio_postgres::Client;

use super::problem::Problem;
use super::rows::{ROWS, fill};
use crate::env::Env;
use crate::hash::sha256;
use crate::release::Migration;
use crate::sqlx::migrations::{number, released};
use crate::state::history::Record;
use crate::tools::git;
use crate::tools::postgres::Server;
use crate::tools::sqlx::migrate::{Rejected, Script, apply};

/// What there is to say of the order and the names of migrations: sqlx passes a file over whose name it cannot read, and
/// goes by the number.
pub fn names(folder: &Utf8Path, migrations: &[Migration]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for migration in migrations.iter().filter(|migration| number(&migration.name).is_none()) {
        let file = folder.join(&migration.name);
        problems.push(Problem::at(file.as_str(), 1, 1, "sqlx passes this over: its name is not NUMBER_name.sql"));
    }
    for pair in migrations.windows(2) {
        let [before, after] = pair else { continue };
        let file = folder.join(&after.name);
        let text = match (number(&before.name), number(&after.name)) {
            (Some(one), Some(other)) if one == other => format!("{} has the same number", before.name),
            (Some(one), Some(other)) if one > other => {
                format!(
                    "by its number it runs before {}, by its name it stands after; write as many digits",
                    before.name
                )
            }
            _ => continue,
        };
        problems.push(Problem::at(file.as_str(), 1, 1, text));
    }
    problems
}

/// Migrations of the tree, in the order in which they run.
pub fn scripts<'m>(
    env: &Env<'_>,
    folder: &Utf8Path,
    migrations: impl IntoIterator<Item = &'m Migration>,
) -> Result<Vec<Script>> {
    let mut all: Vec<&Migration> = migrations.into_iter().collect();
    all.sort_by_key(|migration| number(&migration.name));
    let read = |migration: &&Migration| {
        let file = folder.join(&migration.name);
        Ok(Script { sql: fs_err::read_to_string(env.root().join(&file))?, file: file.into_string() })
    };
    all.iter().map(read).collect()
}

/// Applies migrations to an empty database, and tells the first that is refused.
pub async fn migrate(client: &Client, scripts: &[Script]) -> Result<Option<Problem>> {
    let refused = apply_all(client, scripts).await?;
    Ok(refused.map(|(script, refused)| problem(script, &refused, "does not run on an empty database")))
}

/// How the new migrations ran.
pub enum Forward {
    /// There is no release to come from, or nothing new.
    Nothing,
    /// They run, as this text says.
    Runs(String),
    /// One does not.
    Refused(Problem),
}

/// Builds the schema of what was released, puts rows into every table, and applies the new migrations.
pub async fn forward(
    env: &Env<'_>,
    server: &Server,
    folder: &Utf8Path,
    pending: &[&Migration],
    lives: &[Record],
) -> Result<Forward> {
    let before = released(lives);
    let Some(live) = lives.last().filter(|_| !pending.is_empty() && !before.is_empty()) else {
        return Ok(Forward::Nothing);
    };
    let mut base = Vec::new();
    for (record, migration) in before {
        let Some(script) = as_released(env, folder, record, migration).await? else {
            let version = record.version();
            env.report.warn(&format!(
                "{} of {version} is neither in the tree nor in its commit, so the new migrations were not tried on its schema",
                migration.name
            ));
            return Ok(Forward::Nothing);
        };
        base.push(script);
    }
    const DATABASE: &str = "forward";
    server.create_database(DATABASE).await?;
    let client = server.client(DATABASE).await?;
    if let Some((script, refused)) = apply_all(&client, &base).await? {
        return Ok(Forward::Refused(problem(script, &refused, "does not run as it was released")));
    }
    let filled = fill(&client).await?;
    for (table, why) in &filled.empty {
        env.report.warn(&format!("{table} has no rows in the forward run: no made-up row fits it ({why})"));
    }
    let (version, new) = (live.version(), scripts(env, folder, pending.iter().copied())?);
    let on_what = format!("the schema of {version} with {ROWS} rows in each table");
    match apply_all(&client, &new).await? {
        // The rows are made up. They keep the rules of the schema, but those of real life nobody has written down.
        Some((script, refused)) if refused.of_values => {
            let text = format!("fails on {on_what}, which are made up; if it can on real ones, mend it");
            env.report.warn(&problem(script, &refused, &text).to_string());
            Ok(Forward::Nothing)
        }
        Some((script, refused)) => {
            Ok(Forward::Refused(problem(script, &refused, &format!("does not run on {on_what}"))))
        }
        None => {
            let tables = if filled.tables == 1 { "1 table".to_owned() } else { format!("{} tables", filled.tables) };
            let runs = match pending.len() {
                1 => "1 new migration runs".to_owned(),
                more => format!("{more} new migrations run"),
            };
            Ok(Forward::Runs(format!("{runs} on {version} with rows in {tables}")))
        }
    }
}

async fn apply_all<'s>(client: &Client, scripts: &'s [Script]) -> Result<Option<(&'s Script, Rejected)>> {
    for script in scripts {
        if let Some(refused) = apply(client, script).await? {
            return Ok(Some((script, refused)));
        }
    }
    Ok(None)
}

fn problem(script: &Script, refused: &Rejected, what: &str) -> Problem {
    Problem::at(&script.file, refused.line, 1, format!("this {what}: {}", refused.text))
}

/// A migration as it was when it was released: as in the tree, or as in the release's commit. Neither can be had of one
/// that was released with changes that were never committed.
async fn as_released(
    env: &Env<'_>,
    folder: &Utf8Path,
    record: &Record,
    migration: &Migration,
) -> Result<Option<Script>> {
    let file = folder.join(&migration.name);
    let is_it = |sql: &String| sha256(sql.as_bytes()) == migration.sha256;
    let script = |sql| Some(Script { file: file.to_string(), sql });
    match fs_err::read_to_string(env.root().join(&file)) {
        Ok(sql) if is_it(&sql) => return Ok(script(sql)),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("read a migration that was released");
        }
        _ => {}
    }
    let Some(source) = &record.source else { return Ok(None) };
    // A shallow clone does not have the commit, which is no reason to fail.
    let committed = git::show(env.root(), &source.commit, file.as_str()).await.ok().flatten();
    Ok(committed.filter(is_it).and_then(script))
}
