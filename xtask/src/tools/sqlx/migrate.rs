//! Applies migrations like sqlx at the service's start: each file in one transaction, unless its first line is
//! `-- no-transaction` (sqlx-core 0.9, `src/migrate/source.rs` and `migration.rs`).

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha384};
use tokio_postgres::Client;
use tokio_postgres::error::{ErrorPosition, SqlState};

use super::statements::statements;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
)";

const MARK: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES ($1, $2, TRUE, $3, 0)";

/// A migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its file, relative to the project's root.
    pub file: String,
    /// Its SQL.
    pub sql: String,
}

/// A migration that PostgreSQL refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The line of the error; 1 if it is unknown.
    pub line: usize,
    /// PostgreSQL's message with its detail, and the statement.
    pub text: String,
    /// Whether it depends on the values of rows: a constraint or a conversion failed. Not for NULL values.
    pub of_values: bool,
}

impl Script {
    /// The name of its file.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }

    /// Whether sqlx runs all of it in one transaction.
    pub fn is_whole(&self) -> bool {
        !self.sql.starts_with("-- no-transaction")
    }
}

/// Applies a migration. If PostgreSQL refuses it, rolls it back and returns the error. Fails if the server does not answer.
pub async fn apply(client: &Client, script: &Script) -> Result<Option<Rejected>> {
    let whole = script.is_whole();
    let run = async {
        if whole {
            client.batch_execute("BEGIN").await?;
        }
        client.batch_execute(&script.sql).await?;
        if whole { client.batch_execute("COMMIT").await } else { Ok(()) }
    };
    let Err(error) = run.await else { return Ok(None) };
    if whole && !client.is_closed() {
        client.batch_execute("ROLLBACK").await.context("roll back a failed migration")?;
    }
    if error.as_db_error().is_none() {
        return Err(error).with_context(|| format!("apply {}", script.file));
    }
    locate(client, script, whole, error).await.map(Some)
}

/// Writes down that these migrations were applied, as sqlx does it (sqlx-postgres 0.9, `src/migrate.rs`; since sqlx 0.4). A service
/// that starts there does not apply them again.
pub async fn mark_applied<'s>(client: &Client, scripts: impl IntoIterator<Item = (i64, &'s Script)>) -> Result<()> {
    client.batch_execute(TABLE).await.context("create sqlx's table of migrations")?;
    for (number, script) in scripts {
        let name = script.name();
        let description =
            name.split_once('_').map_or(name, |(_, rest)| rest).trim_end_matches(".sql").replace('_', " ");
        let checksum = Sha384::digest(&script.sql).to_vec();
        client
            .execute(MARK, &[&number, &description, &checksum])
            .await
            .with_context(|| format!("write down that {} was applied", script.file))?;
    }
    Ok(())
}

/// Finds the failing statement by running one after another: PostgreSQL has positions for syntax errors only.
async fn locate(client: &Client, script: &Script, whole: bool, error: tokio_postgres::Error) -> Result<Rejected> {
    let mut found = Rejected { line: 1, text: message(&error), of_values: of_values(&error) };
    if whole {
        client.batch_execute("BEGIN").await?;
    }
    for statement in statements(&script.sql) {
        let Err(error) = client.batch_execute(statement.text).await else { continue };
        let position = match error.as_db_error().and_then(|error| error.position()) {
            Some(ErrorPosition::Original(position)) => *position as usize,
            _ => 1,
        };
        let before = statement.text.chars().take(position.saturating_sub(1)).filter(|c| *c == '\n').count();
        found.line = statement.line + before;
        found.text = format!("{}: {}", message(&error), statement.start());
        break;
    }
    if whole {
        client.batch_execute("ROLLBACK").await?;
    }
    Ok(found)
}

/// Classes 22, data exception, and 23, integrity constraint violation:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_values(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else { return false };
    (code.code().starts_with("22") || code.code().starts_with("23")) && *code != SqlState::NOT_NULL_VIOLATION
}

fn message(error: &tokio_postgres::Error) -> String {
    let Some(error) = error.as_db_error() else { return error.to_string() };
    match error.detail() {
        Some(detail) => format!("{} ({})", error.message(), detail.trim_end_matches('.')),
        None => error.message().to_owned(),
    }
}
