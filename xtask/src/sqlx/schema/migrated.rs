//! The migrations that no release had, run on the schema of the last release.

use anyhow::Result;
use camino::Utf8Path;
use secrecy::SecretString;

use super::Schema;
use crate::report::{Notice, Ongoing};
use crate::sqlx::forward::{self, Forward, Outcome, forward, misnamed};
use crate::sqlx::migrations::compare;
use crate::sqlx::problem::{Problem, Problems};
use crate::state::history::Record;
use crate::tools::postgres::Throwaway;

/// The result of running the migrations that no release had.
#[derive(Default)]
pub struct NewMigrations {
    /// How they ran; none if none is new.
    pub ran: Option<String>,
    /// Their problems.
    pub problems: Vec<Problem>,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// What the new migrations made of the schema of the last release.
pub enum Migrated {
    /// A temporary database.
    Database(Box<Throwaway>),
    /// There is none, for this reason.
    Skipped(String),
}

impl Migrated {
    /// The URL of a temporary database for a service.
    pub fn url(server: &Throwaway) -> SecretString {
        server.server().service_url(forward::DATABASE)
    }

    /// The same for a service that finds the server's socket in another folder.
    pub fn url_at(server: &Throwaway, sockets: &Utf8Path) -> SecretString {
        server.server().service_url_at(forward::DATABASE, sockets)
    }
}

impl Schema<'_> {
    /// Checks the migrations' names, and runs those that no release had on the schema of the last release. Starts a database
    /// only if there are any.
    pub async fn run_new_migrations(&self, live: &[Record], step: &Ongoing) -> Result<NewMigrations> {
        let mut new =
            NewMigrations { problems: misnamed(&self.relative, &self.migrations), ..NewMigrations::default() };
        let pending = compare(&self.migrations, live).pending;
        if !new.problems.is_empty() || pending.is_empty() || live.is_empty() {
            return Ok(new);
        }
        new.notices = self.notices(&pending)?;
        let server = self.start(step).await?;
        let forward = forward(self.env, server.server(), &self.relative, &pending, live).await?;
        let Forward { outcome, broken, notices } = forward;
        new.notices.extend(notices);
        new.notices.extend(self.located(broken, live).await?.into_iter().map(warning));
        match outcome {
            Outcome::Skipped => {}
            Outcome::Ran(how) => new.ran = Some(how),
            Outcome::Failed(problem) => new.problems.push(problem),
        }
        Ok(new)
    }

    /// The schema of the last release with rows, and the migrations that no release had, in a temporary database. Fails with
    /// [`Problems`] where one of them fails.
    pub async fn migrated(&self, live: &[Record], step: &Ongoing) -> Result<Migrated> {
        let server = self.start(step).await?;
        let pending = compare(&self.migrations, live).pending;
        step.progress("running the new migrations on the released schema");
        let forward = forward(self.env, server.server(), &self.relative, &pending, live).await?;
        let Forward { outcome, notices, .. } = forward;
        match outcome {
            Outcome::Ran(_) => Ok(Migrated::Database(Box::new(server))),
            Outcome::Skipped => Ok(Migrated::Skipped(match notices.into_iter().next_back() {
                Some(Notice::Note(text) | Notice::Warning(text)) => text,
                None => "no release had migrations".to_owned(),
            })),
            Outcome::Failed(problem) => {
                let (all, next) = (vec![problem], "fix this, then deploy again");
                Err(Problems { all, next, notices }.into_error())
            }
        }
    }
}

/// For a deploy, which tries the way back itself.
fn warning(problem: Problem) -> Notice {
    Notice::Warning(problem.to_string())
}
