//! The queries that the service has compiled in, and the migrations that make the schema they are asked of: the committed
//! cache is what a database says, and what is new in the schema runs on what is released.

mod differences;
mod forward;
mod problem;
mod rows;
mod values;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use self::differences::{Sources, differences};
use self::forward::{Forward, count, forward, migrate, names, scripts};
use self::problem::Problem;
pub use self::problem::Problems;
use super::run::interrupted;
use super::{Env, Failure};
use crate::memory::ledger::{self, Outcome, Record};
use crate::place::migrations::compare;
use crate::release::{Migration, Summary};
use crate::report::{Ongoing, Step};
use crate::tool::postgres::{Server, Throwaway};
use crate::tool::sqlx::cache::{Cache, Change, FOLDER, STAMP, Stamp};
use crate::tool::sqlx::statements::statements;
use crate::tool::sqlx::{Mistake, Workspace, locked_version};

/// What the step says when it is done.
pub struct Fresh(String);

impl Summary for Fresh {
    fn summary(&self) -> String {
        self.0.clone()
    }
}

/// Writes the query cache anew, as a throw-away database with the migrations says.
pub async fn prepare(env: &Env<'_>) -> Result<(), Failure> {
    let Some(schema) = Schema::find(env)? else { return Err(Failure::Usage(not_used(env))) };
    let lives = lives(env)?;
    in_a_step(env, async |step| {
        let mut looked = schema.look(&lives, step).await?;
        looked.problems.extend(looked.mistakes());
        if !looked.problems.is_empty() {
            return Err(problems(looked.problems, "mend it, then type: cargo xtask sqlx prepare"));
        }
        let stamp = looked.fresh.stamp(&schema.migrations, &schema.sqlx);
        let old = Stamp::read(&schema.folder)?;
        let Change { new, changed, gone } = looked.fresh.write(&schema.folder, &stamp)?;
        let queries = looked.fresh.0.len();
        let change = match (new, changed, gone) {
            (0, 0, 0) if old.as_ref() == Some(&stamp) => "nothing has changed".to_owned(),
            (0, 0, 0) => "none has changed, the stamp has".to_owned(),
            _ => format!("{new} new, {changed} changed, {gone} gone"),
        };
        let text = format!("{queries} queries in {FOLDER}: {change}\n{}", looked.ran);
        Ok((
            text,
            json!({ "queries": queries, "new": new, "changed": changed, "gone": gone, "migrations": looked.ran }),
        ))
    })
    .await
}

/// Fails with every query of the committed cache that is not as a throw-away database with the migrations says, and with
/// every migration that is not as it must be. Changes nothing.
pub async fn check(env: &Env<'_>) -> Result<(), Failure> {
    let Some(schema) = Schema::find(env)? else { return Err(Failure::Usage(not_used(env))) };
    let lives = lives(env)?;
    in_a_step(env, async |step| {
        let mut looked = schema.look(&lives, step).await?;
        let stale = schema.compare(&mut looked).await?;
        // Asked for by itself, it also is what keeps deploys quick.
        if looked.problems.is_empty()
            && let Some(why) = stale
        {
            looked.problems.push(Problem::at(&format!("{FOLDER}/{STAMP}"), 1, 1, why));
        }
        if !looked.problems.is_empty() {
            return Err(problems(looked.problems, "mend it, or type: cargo xtask sqlx prepare"));
        }
        let queries = looked.fresh.0.len();
        let text = format!("{queries} queries fresh\n{}", looked.ran);
        Ok((text, json!({ "queries": queries, "migrations": looked.ran, "problems": [] })))
    })
    .await
}

/// The step of a deploy: nothing is asked of a database while the cache's stamp fits and no migration is new. None for a
/// service without a cache.
pub async fn fresh(env: &Env<'_>, lives: &[Record], step: &Ongoing, schema: &Schema<'_>) -> Result<Fresh> {
    let named = names(&schema.relative, &schema.migrations);
    if !named.is_empty() {
        return Err(problems(named, "rename it, then type: cargo xtask sqlx prepare"));
    }
    let pending = compare(&schema.migrations, lives).pending;
    let (cache, misfit) = schema.fits()?;
    if misfit.is_none() {
        let mut text = format!("{} queries fresh", cache.0.len());
        if !pending.is_empty() && !lives.is_empty() {
            let server = start(env, step).await?;
            match forward(env, server.server(), &schema.relative, &pending, lives).await? {
                Forward::Nothing => {}
                Forward::Runs(how) => text.push_str(&format!("\n{how}")),
                Forward::Refused(problem) => return Err(problems(vec![problem], "mend the migration")),
            }
        }
        schema.say_new(&pending)?;
        return Ok(Fresh(text));
    }
    let mut looked = schema.look(lives, step).await?;
    let stale = schema.compare(&mut looked).await?;
    if !looked.problems.is_empty() {
        return Err(problems(looked.problems, "mend it, or type: cargo xtask sqlx prepare"));
    }
    if let Some(why) = stale {
        env.report.warn(&format!("{why}; until it does, every deploy asks a database: cargo xtask sqlx prepare"));
    }
    Ok(Fresh(format!("{} queries fresh\n{}", looked.fresh.0.len(), looked.ran)))
}

/// The service's queries and migrations, as they stand in the tree.
pub struct Schema<'a> {
    env: &'a Env<'a>,
    /// The migrations' folder, relative to the project's root.
    relative: Utf8PathBuf,
    migrations: Vec<Migration>,
    /// The version of sqlx.
    sqlx: String,
    /// `.sqlx`.
    folder: Utf8PathBuf,
}

struct Looked {
    /// What is wrong with the migrations, then with the queries.
    problems: Vec<Problem>,
    fresh: Cache,
    mistakes: Vec<Mistake>,
    ran: String,
}

impl<'a> Schema<'a> {
    /// None for a service that has no migrations or does not use sqlx.
    pub fn find(env: &'a Env<'a>) -> Result<Option<Self>> {
        let Some(relative) = env.config.service.migrations.clone() else { return Ok(None) };
        let Some(sqlx) = locked_version(env.root())? else { return Ok(None) };
        let (migrations, folder) = (env.place.migrations()?, env.root().join(FOLDER));
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
    fn fits(&self) -> Result<(Cache, Option<String>)> {
        let cache = Cache::read(&self.folder)?.unwrap_or_default();
        let now = cache.stamp(&self.migrations, &self.sqlx);
        let misfit = match Stamp::read(&self.folder)? {
            None => Some(format!("{FOLDER} has no stamp that can be read")),
            Some(stamp) => match stamp.differences(&now).as_slice() {
                [] => None,
                parts => Some(format!("{FOLDER} was prepared before a change of {}", parts.join(" and of "))),
            },
        };
        Ok((cache, misfit))
    }

    /// Asks a throw-away database: whether the migrations run, and what it says of each query.
    async fn look(&self, lives: &[Record], step: &Ongoing) -> Result<Looked> {
        let (env, compared) = (self.env, compare(&self.migrations, lives));
        let mut looked = Looked {
            problems: names(&self.relative, &self.migrations),
            fresh: Cache::default(),
            mistakes: Vec::new(),
            ran: count(self.migrations.len()),
        };
        looked.problems.extend(compared.refusals.iter().map(Problem::new));
        if !looked.problems.is_empty() {
            return Ok(looked);
        }
        let server = start(env, step).await?;
        step.progress("migrating");
        const DATABASE: &str = "queries";
        server.server().create_database(DATABASE).await?;
        let client = server.server().client(DATABASE).await?;
        let all = scripts(env, &self.relative, &self.migrations)?;
        looked.problems.extend(migrate(&client, &all, "on an empty database").await?);
        if !looked.problems.is_empty() {
            return Ok(looked);
        }
        match forward(env, server.server(), &self.relative, &compared.pending, lives).await? {
            Forward::Nothing => {}
            Forward::Runs(how) => looked.ran.push_str(&format!("; {how}")),
            Forward::Refused(problem) => looked.problems.push(problem),
        }
        self.say_new(&compared.pending)?;
        (looked.fresh, looked.mistakes) = self.ask(server.server(), DATABASE, step).await?;
        Ok(looked)
    }

    async fn ask(&self, server: &Server, database: &str, step: &Ongoing) -> Result<(Cache, Vec<Mistake>)> {
        let (root, package) = (self.env.root(), self.env.config.service.package.as_str());
        let workspace = Workspace::find(root).await?;
        workspace.only_one_cache(root, package)?;
        let fresh = tempfile::tempdir().context("make a temporary folder for the queries")?;
        let into = Utf8Path::from_path(fresh.path()).context("the folder for temporary files is not named in UTF-8")?;
        step.progress("compiling the queries");
        let mistakes = workspace.describe(root, package, &server.url(database), into, step).await?;
        Ok((Cache::read(into)?.unwrap_or_default(), mistakes))
    }

    /// Adds what differs between the committed cache and the database to the problems. Tells, where nothing else is wrong,
    /// why the stamp does not fit.
    async fn compare(&self, looked: &mut Looked) -> Result<Option<String>> {
        let (committed, misfit) = self.fits()?;
        let asked = !looked.fresh.0.is_empty() || !looked.mistakes.is_empty() || looked.problems.is_empty();
        if asked {
            let workspace = Workspace::find(self.env.root()).await?;
            let sources = Sources::read(self.env.root(), workspace.folder(&self.env.config.service.package)?)?;
            let compiles = looked.mistakes.is_empty();
            looked.problems.extend(looked.mistakes());
            looked.problems.extend(differences(&committed, &looked.fresh, &sources, compiles));
        }
        Ok(misfit)
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

impl Looked {
    fn mistakes(&self) -> Vec<Problem> {
        let problem = |mistake: &Mistake| Problem { at: Some(mistake.at.clone()), text: mistake.text.clone() };
        self.mistakes.iter().map(problem).collect()
    }
}

/// Runs a command that is one step, ends it well on a signal, and answers.
async fn in_a_step(
    env: &Env<'_>,
    work: impl AsyncFnOnce(&Ongoing) -> Result<(String, serde_json::Value)>,
) -> Result<(), Failure> {
    env.report.headline(&format!("{} → {}   queries and migrations", env.config.project, env.name));
    let step = env.report.begin(Step::Sqlx);
    let ended = tokio::select! {
        ended = work(&step) => ended,
        signal = interrupted() => {
            return Err(Failure::Aborted(anyhow!("interrupted by {}; nothing is left half done", signal?)));
        }
    };
    match ended {
        Ok((text, detail)) => {
            step.finish(&text);
            env.report.result(detail, "");
            Ok(())
        }
        Err(error) => {
            step.fail("failed");
            if let Some(problems) = error.downcast_ref::<Problems>() {
                env.report.result(json!({ "problems": problems.json() }), "");
            }
            Err(error.into())
        }
    }
}

async fn start(env: &Env<'_>, step: &Ongoing) -> Result<Throwaway> {
    step.progress("starting a throw-away PostgreSQL");
    Throwaway::start(env.place.choice()).await.context("start a throw-away PostgreSQL")
}

fn lives(env: &Env<'_>) -> Result<Vec<Record>> {
    let records = ledger::read_all(&env.store)?;
    Ok(records.into_iter().filter(|record| record.outcome == Outcome::Live).collect())
}

fn problems(all: Vec<Problem>, next: &str) -> anyhow::Error {
    Problems { all, next: next.to_owned() }.into()
}

fn not_used(env: &Env<'_>) -> anyhow::Error {
    let package = &env.config.service.package;
    match env.config.service.migrations {
        None => anyhow!("deploy.yaml names no migrations of {package}; add `migrations: <folder>` to its service"),
        Some(_) => anyhow!("Cargo.lock has no sqlx, so {package} has no queries to check"),
    }
}
