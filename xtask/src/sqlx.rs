//! The queries that the service has compiled in, and the migrations that make the schema they are asked of: the committed
//! cache is what a database says, and what is new in the schema runs on what is released.

mod differences;
mod forward;
pub mod migrations;
mod problem;
mod rows;
mod schema;
mod values;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use self::problem::Problem;
pub use self::problem::Problems;
pub use self::schema::Schema;
use crate::env::Env;
use crate::failure::{Failure, Located};
use crate::report::Summary;
use crate::report::{Ongoing, Step};
use crate::state::history::{self, Outcome, Record};
use crate::tools::sqlx::cache::{Change, FOLDER, STAMP, Stamp};

/// What the step of a deploy says when it is done.
pub struct Fresh(String);

impl Summary for Fresh {
    fn summary(&self) -> String {
        self.0.clone()
    }
}

/// Writes the query cache anew, as a throw-away database with the migrations says. When anything is wrong, it stays as it
/// was.
pub async fn prepare(env: &Env<'_>) -> Result<(), Failure> {
    in_a_step(env, async |schema, lives, step| {
        let looked = schema.look(lives, step).await?;
        judge(looked.problems, Vec::new())?;
        let (stamp, old) = (schema.stamp(&looked.fresh), Stamp::read(&schema.folder)?);
        let Change { new, changed, gone } = looked.fresh.write(&schema.folder, &stamp)?;
        let queries = looked.fresh.0.len();
        let change = match (new, changed, gone) {
            (0, 0, 0) if old.as_ref() == Some(&stamp) => "nothing has changed".to_owned(),
            (0, 0, 0) => "none has changed, the stamp has".to_owned(),
            _ => format!("{new} new, {changed} changed, {gone} gone"),
        };
        let detail =
            json!({ "queries": queries, "new": new, "changed": changed, "gone": gone, "migrations": looked.ran });
        Ok((format!("{queries} queries in {FOLDER}: {change}\n{}", looked.ran), detail))
    })
    .await
}

/// Fails with every query of the committed cache that is not as a throw-away database with the migrations says, and with
/// every migration that is not as it must be. Changes nothing.
pub async fn check(env: &Env<'_>) -> Result<(), Failure> {
    in_a_step(env, async |schema, lives, step| {
        let looked = schema.look(lives, step).await?;
        let mut stale = schema.differences(&looked).await?;
        // With a stamp that does not fit, every deploy would have to do this.
        if let (true, Some(why)) = (stale.is_empty(), schema.fits()?.1) {
            stale.push(Problem::at(&format!("{FOLDER}/{STAMP}"), 1, 1, why));
        }
        judge(looked.problems, stale)?;
        let queries = looked.fresh.0.len();
        let detail = json!({ "queries": queries, "migrations": looked.ran, "problems": [] });
        Ok((format!("{queries} queries fresh\n{}", looked.ran), detail))
    })
    .await
}

/// The step of a deploy. While the cache's stamp fits and no migration is new, no database is asked.
pub async fn fresh(env: &Env<'_>, schema: &Schema<'_>, lives: &[Record], step: &Ongoing) -> Result<Fresh> {
    let (cache, misfit) = schema.fits()?;
    let Some(why) = misfit else {
        let ran = schema.look_at_new(lives, step).await?;
        let ran = ran.map_or_else(String::new, |ran| format!("\n{ran}"));
        return Ok(Fresh(format!("{} queries fresh{ran}", cache.0.len())));
    };
    let looked = schema.look(lives, step).await?;
    let stale = schema.differences(&looked).await?;
    judge(looked.problems, stale)?;
    env.report.warn(&format!("{why}; until that is mended, every deploy asks a database: cargo xtask sqlx prepare"));
    Ok(Fresh(format!("{} queries fresh\n{}", looked.fresh.0.len(), looked.ran)))
}

/// What has to be mended by hand, and what is only stale.
fn judge(mut wrong: Vec<Problem>, stale: Vec<Problem>) -> Result<()> {
    let next = match (wrong.is_empty(), stale.is_empty()) {
        (true, true) => return Ok(()),
        (true, false) => "type: cargo xtask sqlx prepare",
        (false, _) => "mend this, then type: cargo xtask sqlx prepare",
    };
    wrong.extend(stale);
    Err(Problems { all: wrong, next: next.to_owned() }.into_error())
}

/// Runs a command that is one step, ends it well on a signal, and answers.
async fn in_a_step(
    env: &Env<'_>,
    work: impl AsyncFnOnce(&Schema<'_>, &[Record], &Ongoing) -> Result<(String, Value)>,
) -> Result<(), Failure> {
    let Some(schema) = Schema::find(env)? else { return Err(Failure::Usage(not_used(env))) };
    let records = history::read_all(env.store()?).await?;
    let lives: Vec<Record> = records.into_iter().filter(|record| record.outcome == Outcome::Live).collect();
    env.report.headline(&format!("{} → {}   queries and migrations", env.config.project, env.name()));
    let step = env.report.begin(Step::Sqlx);
    let work = async { Ok(work(&schema, &lives, &step).await) };
    match env.stop.cancels("nothing is left half done", work).await? {
        Ok((text, detail)) => {
            step.finish(&text);
            env.report.result(detail, "");
            Ok(())
        }
        Err(error) => {
            step.fail("failed");
            if let Some(problems) = error.downcast_ref::<Located>().and_then(Located::error::<Problems>) {
                env.report.result(json!({ "problems": problems.json() }), "");
            }
            Err(error.into())
        }
    }
}

fn not_used(env: &Env<'_>) -> anyhow::Error {
    let package = &env.config.service.package;
    match env.config.service.migrations {
        None => anyhow!("deploy.yaml names no migrations of {package}; add `migrations: <folder>` to its service"),
        Some(_) => anyhow!("Cargo.lock has no sqlx, so {package} has no queries to check"),
    }
}
