//! The service's queries and migrations, as they stand in the tree, and what a throw-away database says of them.

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

use super::differences::{Sources, differences};
use super::forward::{Forward, forward, migrate, names, scripts};
use super::problem::{Problem, Problems};
use crate::env::Env;
use crate::release::Migration;
use crate::report::Ongoing;
use crate::sqlx::migrations::compare;
use crate::state::history::Record;
use crate::tools::postgres::Throwaway;
use crate::tools::sqlx::cache::{Cache, FOLDER, Stamp};
use crate::tools::sqlx::statements::statements;
use crate::tools::sqlx::{Workspace, locked_version};

/// The database that has all migrations.
const DATABASE: &str = "queries";

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

/// What a database said.
#[derive(Default)]
pub struct Looked {
    /// The queries' answers.
    pub fresh: Cache,
    /// How the migrations ran.
    pub ran: String,
    /// What is wrong with the migrations and with the sources.
    pub problems: Vec<Problem>,
    /// Whether the sources compile; as long as a migration is wrong nobody has tried.
    compiles: Option<bool>,
}

impl<'a> Schema<'a> {
    /// None for a service that has no migrations or does not use sqlx.
    pub fn find(env: &'a Env<'a>) -> Result<Option<Self>> {
        let Some(relative) = env.config.service.migrations.clone() else { return Ok(None) };
        let Some(sqlx) = locked_version(env.root())? else { return Ok(None) };
        let (migrations, folder) = (Migration::of(env.config)?, env.root().join(FOLDER));
        Ok(Some(Self { env, relative, migrations, sqlx, folder }))
    }

    /// The same, where a cache is kept: what a deploy looks at.
    pub fn cached(env: &'a Env<'a>) -> Result<Option<Self>> {
        Ok(Self::find(env)?.filter(|schema| schema.folder.is_dir()))
    }

    /// What a deploy would do about it.
    pub fn outlook(&self) -> Result<String> {
        let (cache, misfit) = self.fits()?;
        Ok(match misfit {
            None => format!("queries: {} fresh", cache.0.len()),
            Some(why) => format!("queries: would be asked of a database, as {why}"),
        })
    }

    /// The committed cache, and why its stamp does not fit, if it does not.
    pub fn fits(&self) -> Result<(Cache, Option<String>)> {
        let cache = Cache::read(&self.folder)?.unwrap_or_default();
        let misfit = match Stamp::read(&self.folder)? {
            None => Some(format!("{FOLDER} has no stamp that can be read")),
            Some(stamp) => match stamp.differences(&self.stamp(&cache)).as_slice() {
                [] => None,
                parts => Some(format!("{FOLDER} was prepared before a change of {}", parts.join(" and of "))),
            },
        };
        Ok((cache, misfit))
    }

    /// The stamp of a cache that is made now.
    pub fn stamp(&self, cache: &Cache) -> Stamp {
        cache.stamp(&self.migrations, &self.sqlx)
    }

    /// What needs no database but for migrations that no release had: their names, and whether these run on what is
    /// released. The answer is how they ran, if they had to.
    pub async fn look_at_new(&self, lives: &[Record], step: &Ongoing) -> Result<Option<String>> {
        let refuse = |all| Problems { all, next: "mend this, then type: cargo xtask sqlx prepare".to_owned() };
        let named = names(&self.relative, &self.migrations);
        if !named.is_empty() {
            return Err(refuse(named).into_error());
        }
        let pending = compare(&self.migrations, lives).pending;
        if pending.is_empty() || lives.is_empty() {
            return Ok(None);
        }
        self.say_new(&pending)?;
        let server = self.start(step).await?;
        match forward(self.env, server.server(), &self.relative, &pending, lives).await? {
            Forward::Nothing => Ok(None),
            Forward::Runs(how) => Ok(Some(how)),
            Forward::Refused(problem) => Err(refuse(vec![problem]).into_error()),
        }
    }

    /// Asks a throw-away database whether the migrations run, and what it says of each query.
    pub async fn look(&self, lives: &[Record], step: &Ongoing) -> Result<Looked> {
        let (env, compared) = (self.env, compare(&self.migrations, lives));
        let count = self.migrations.len();
        let ran = if count == 1 { "1 migration".to_owned() } else { format!("{count} migrations") };
        let mut looked = Looked { ran, ..Looked::default() };
        looked.problems = names(&self.relative, &self.migrations);
        looked.problems.extend(compared.refusals.iter().map(Problem::new));
        if !looked.problems.is_empty() {
            return Ok(looked);
        }
        self.say_new(&compared.pending)?;
        let server = self.start(step).await?;
        step.progress("migrating");
        server.server().create_database(DATABASE).await?;
        let client = server.server().client(DATABASE).await?;
        let all = scripts(env, &self.relative, &self.migrations)?;
        looked.problems.extend(migrate(&client, &all).await?);
        if !looked.problems.is_empty() {
            return Ok(looked);
        }
        match forward(env, server.server(), &self.relative, &compared.pending, lives).await? {
            Forward::Nothing => {}
            Forward::Runs(how) => looked.ran.push_str(&format!("; {how}")),
            Forward::Refused(problem) => looked.problems.push(problem),
        }
        step.progress("compiling the queries");
        let (root, package) = (env.root(), env.config.service.package.as_str());
        let url = server.server().url(DATABASE);
        let (fresh, mistakes) = Workspace::find(root).await?.describe(root, package, &url, step).await?;
        looked.fresh = fresh;
        looked.compiles = Some(mistakes.is_empty());
        looked
            .problems
            .extend(mistakes.into_iter().map(|mistake| Problem { at: Some(mistake.at), text: mistake.text }));
        Ok(looked)
    }

    /// Where the committed cache is not what the database said.
    pub async fn differences(&self, looked: &Looked) -> Result<Vec<Problem>> {
        let Some(compiles) = looked.compiles else { return Ok(Vec::new()) };
        let committed = Cache::read(&self.folder)?.unwrap_or_default();
        if committed == looked.fresh {
            return Ok(Vec::new());
        }
        let workspace = Workspace::find(self.env.root()).await?;
        let sources = Sources::read(self.env.root(), workspace.folder(&self.env.config.service.package)?)?;
        Ok(differences(&committed, &looked.fresh, &sources, compiles))
    }

    async fn start(&self, step: &Ongoing) -> Result<Throwaway> {
        step.progress("starting a throw-away PostgreSQL");
        Throwaway::start(self.env.postgres()).await.context("start a throw-away PostgreSQL")
    }

    /// Names new migrations that cannot be gone back over, and those that look as if they should say so.
    fn say_new(&self, pending: &[&Migration]) -> Result<()> {
        for migration in pending {
            if migration.irreversible {
                self.env.report.note(&format!("{} is irreversible: no rollback goes back over it", migration.name));
                continue;
            }
            let file = self.relative.join(&migration.name);
            for statement in statements(&fs_err::read_to_string(self.env.root().join(&file))?) {
                if let Some(what) = statement.destroys() {
                    let line = statement.line;
                    self.env.report.warn(&format!(
                        "{file}:{line}: {what}; if older code cannot run on what it leaves, mark it: -- irreversible"
                    ));
                }
            }
        }
        Ok(())
    }
}
