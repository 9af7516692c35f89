//! The service's queries and migrations as they are in the tree, and a temporary database's answers about them.

mod migrated;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

pub use self::migrated::{Migrated, NewMigrations};
use super::base::Base;
use super::contract::Broken;
use super::differences::{Sources, differences, start};
use super::forward::{Forward, Outcome, forward, misnamed, run_all, scripts};
use super::migrations::{compare, released};
use super::problem::{Problem, Problems};
use crate::env::Env;
use crate::fs::{project, read_text};
use crate::release::Migration;
use crate::report::{Notice, Ongoing};
use crate::state::history::Record;
use crate::tools::postgres::Throwaway;
use crate::tools::sqlx::cache::{Cache, FOLDER, Stamp};
use crate::tools::sqlx::migrate::Script;
use crate::tools::sqlx::statements::statements;
use crate::tools::sqlx::{Workspace, keeps_cache, locked_version};

/// The database with all migrations.
const DATABASE: &str = "queries";

/// The query cache of sqlx before 0.7.
const OLD_CACHE: &str = "sqlx-data.json";

/// The service's queries and migrations.
pub struct Schema<'a> {
    env: &'a Env<'a>,
    /// The migrations' folder, relative to the project's root.
    relative: Utf8PathBuf,
    migrations: Vec<Migration>,
    /// The version of sqlx.
    sqlx: String,
    /// `.sqlx`.
    pub folder: Utf8PathBuf,
}

/// A database's answers.
#[derive(Default)]
pub struct Inspection {
    /// The queries, as the database describes them.
    pub cache: Cache,
    /// How the migrations ran.
    pub migrations: String,
    /// The problems of migrations and sources.
    pub problems: Vec<Problem>,
    /// What the user should know.
    pub notices: Vec<Notice>,
    /// The queries of the last release that no longer hold.
    pub broken: Vec<Broken>,
    /// Whether the sources compile; none if they were not compiled because of the migrations' problems.
    compiles: Option<bool>,
}

impl<'a> Schema<'a> {
    /// None for a service without migrations or without sqlx, and for one that is no cargo package.
    pub fn find(env: &'a Env<'a>) -> Result<Option<Self>> {
        if env.config.service.command.is_some() {
            return Ok(None);
        }
        let Some(relative) = env.config.service.migrations.clone() else { return Ok(None) };
        let Some(sqlx) = locked_version(env.root())? else { return Ok(None) };
        let (migrations, folder) = (Migration::of(env.config)?, env.root().join(FOLDER));
        Ok(Some(Self { env, relative, migrations, sqlx, folder }))
    }

    /// The same for a deploy: none without a query cache, too.
    pub fn cached(env: &'a Env<'a>) -> Result<Option<Self>> {
        let Some(schema) = Self::find(env)? else { return Ok(None) };
        Ok(project::place(env.root(), Utf8Path::new(FOLDER))?.filter(|folder| folder.is_dir()).map(|_| schema))
    }

    /// What a deploy would do, for `--dry-run`.
    pub fn outlook(&self) -> Result<String> {
        let (cache, stale) = self.committed()?;
        Ok(match stale {
            None => format!("queries: {} fresh", cache.0.len()),
            Some(why) => format!("queries: would be checked with a temporary database, because {why}"),
        })
    }

    /// The committed cache, and why its stamp is stale, if it is.
    pub fn committed(&self) -> Result<(Cache, Option<String>)> {
        let cache = Cache::read(&self.folder)?.unwrap_or_default();
        let stale = match Stamp::read(&self.folder)? {
            None => Some(format!("{FOLDER} has no readable stamp")),
            Some(stamp) => match stamp.differences(&self.stamp(&cache)).as_slice() {
                [] => None,
                parts => Some(format!("{FOLDER} was prepared before a change of {}", parts.join(" and of "))),
            },
        };
        Ok((cache, stale))
    }

    /// The stamp that belongs to a cache now.
    pub fn stamp(&self, cache: &Cache) -> Stamp {
        cache.stamp(&self.migrations, &self.sqlx)
    }

    /// Runs the migrations in a temporary database, and asks it to describe each query.
    pub async fn inspect(&self, live: &[Record], step: &Ongoing) -> Result<Inspection> {
        let (env, compared) = (self.env, compare(&self.migrations, live));
        ensure!(
            keeps_cache(&self.sqlx),
            "Cargo.lock has sqlx {}, which keeps no query cache in {FOLDER}: that came with sqlx 0.7\n  \
             update sqlx in Cargo.toml; until then a deploy compiles the queries against a temporary database",
            self.sqlx
        );
        let migrations = match self.migrations.len() {
            1 => "1 migration".to_owned(),
            count => format!("{count} migrations"),
        };
        let mut found = Inspection { migrations, ..Inspection::default() };
        found.problems = misnamed(&self.relative, &self.migrations);
        found.problems.extend(compared.refusals.iter().map(Problem::new));
        if !found.problems.is_empty() {
            return Ok(found);
        }
        found.notices = self.notices(&compared.pending)?;
        let server = self.start(step).await?;
        step.progress("running the migrations");
        server.server().create_database(DATABASE).await?;
        let client = server.server().service_client(DATABASE).await?;
        let all = scripts(env, &self.relative, &self.migrations)?;
        found.problems.extend(run_all(&client, &all).await?);
        if !found.problems.is_empty() {
            return Ok(found);
        }
        let forward = forward(env, server.server(), &self.relative, &compared.pending, live).await?;
        let Forward { outcome, broken, notices } = forward;
        found.notices.extend(notices);
        found.broken = broken;
        match outcome {
            Outcome::Skipped => {}
            Outcome::Ran(how) => found.migrations.push_str(&format!("; {how}")),
            Outcome::Failed(problem) => found.problems.push(problem),
        }
        step.progress("compiling the queries");
        let (root, package) = (env.root(), env.config.service.package.as_str());
        let hidden = env.config.secret_names();
        let url = server.server().url(DATABASE);
        let (cache, errors) = Workspace::find(root).await?.describe(root, package, &url, &hidden, step).await?;
        found.cache = cache;
        found.compiles = Some(errors.is_empty());
        if errors.is_empty()
            && found.cache.0.is_empty()
            && let Some((file, line, column)) = self.sources().await?.first_macro()
        {
            let text = format!(
                "the queries compiled, but sqlx {} wrote no description of them, of this macro's neither",
                self.sqlx
            );
            found.problems.push(Problem::at(&file, line, column, text));
        }
        found.problems.extend(errors.into_iter().map(|error| Problem { at: Some(error.at), text: error.text }));
        Ok(found)
    }

    /// Where the committed cache differs from the database's answers.
    pub async fn differences(&self, found: &Inspection) -> Result<Vec<Problem>> {
        let Some(compiles) = found.compiles else { return Ok(Vec::new()) };
        let committed = Cache::read(&self.folder)?.unwrap_or_default();
        if committed == found.cache {
            return Ok(Vec::new());
        }
        Ok(differences(&committed, &found.cache, &self.sources().await?, compiles))
    }

    /// The releases that the migrations are compared with in a check. `live` are the records of those that went live, oldest first.
    pub async fn base(&self, live: Vec<Record>) -> Result<Base> {
        Base::find(self.env, live, &self.migrations).await
    }

    /// The migrations that none of these releases had, in the order in which they run. None where there is no release: on an empty
    /// database nothing is locked and no older code runs.
    pub fn new_scripts(&self, releases: &[Record]) -> Result<Vec<Script>> {
        if released(releases).is_empty() {
            return Ok(Vec::new());
        }
        scripts(self.env, &self.relative, compare(&self.migrations, releases).pending)
    }

    /// The released queries that no longer hold, at the migration that breaks each one, with the place of the query where the sources
    /// still have it.
    pub async fn located(&self, broken: Vec<Broken>, live: &[Record]) -> Result<Vec<Problem>> {
        let Some(last) = live.last().filter(|_| !broken.is_empty()) else { return Ok(Vec::new()) };
        let sources = self.sources().await?;
        let problem = |Broken { migration, query, why }: Broken| {
            let place = match sources.find(&query.text) {
                Some((file, line, _)) => format!("{file}:{line}"),
                None => query.file,
            };
            let text = format!(
                "this breaks a query of {}, which runs on the new schema until the new version serves, and after a rollback: \
                 {why}\n{place}: {}\n\
                 safe: first only add (this release), then drop or narrow (the next one); or mark the migration: -- irreversible",
                last.version(),
                start(&query.text)
            );
            Problem::at(&migration, 1, 1, text)
        };
        Ok(broken.into_iter().map(problem).collect())
    }

    /// A temporary database with all migrations, for a build whose macros have no query cache. None where there is one, or no
    /// macro.
    pub async fn for_build(&self, step: &Ongoing) -> Result<Option<(Throwaway, SecretString)>> {
        let is_cached = self.folder.is_dir() || self.env.root().join(OLD_CACHE).exists();
        if is_cached || self.sources().await?.first_macro().is_none() {
            return Ok(None);
        }
        let server = self.start(step).await?;
        server.server().create_database(DATABASE).await?;
        let client = server.server().service_client(DATABASE).await?;
        if let Some(problem) = run_all(&client, &scripts(self.env, &self.relative, &self.migrations)?).await? {
            let (all, next, notices) = (vec![problem], "fix this, then deploy again", Vec::new());
            return Err(Problems { all, next, notices }.into_error());
        }
        let url = server.server().url(DATABASE);
        Ok(Some((server, url)))
    }

    /// The sources of the service's package.
    async fn sources(&self) -> Result<Sources> {
        let workspace = Workspace::find(self.env.root()).await?;
        Sources::read(self.env.root(), workspace.folder(&self.env.config.service.package)?)
    }

    async fn start(&self, step: &Ongoing) -> Result<Throwaway> {
        step.progress("starting a temporary PostgreSQL");
        Throwaway::start(self.env.postgres()).await.context("start a temporary PostgreSQL")
    }

    /// The new migrations that are irreversible, and those that look it but are not marked.
    fn notices(&self, pending: &[&Migration]) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        for migration in pending {
            if migration.irreversible {
                notices.push(Notice::Note(format!("{} is irreversible: no rollback crosses it", migration.name)));
                continue;
            }
            let file = self.relative.join(&migration.name);
            for statement in statements(&read_text(self.env.root().join(&file))?) {
                if let Some(what) = statement.destroys() {
                    let line = statement.line;
                    notices.push(Notice::Warning(format!(
                        "{file}:{line}: {what}; if older code cannot run on the new schema, mark the migration: -- irreversible"
                    )));
                }
            }
        }
        Ok(notices)
    }
}
