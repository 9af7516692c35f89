//! Expand and contract: while a release takes over, and after a rollback, the version before it runs on the new schema. So the
//! queries of the released version are described before and after each new migration, by the database.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::Deserialize;
use tokio_postgres::Client;

use crate::env::Env;
use crate::state::history::Record;
use crate::tools::git;
use crate::tools::sqlx::cache::FOLDER;

/// The columns of the service's tables, with what PostgreSQL demands of their values. Generated columns and those with a default
/// are set by the database.
const COLUMNS: &str = "SELECT c.oid, c.relname::text, a.attnum, a.attname::text, a.attnotnull,
        a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND a.attnum > 0
        AND NOT a.attisdropped";

/// A query of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its file in the query cache, relative to the project's root.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// A query of the released version that no longer holds after a new migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The migration's file.
    pub migration: String,
    /// The query.
    pub query: Query,
    /// What is different for it.
    pub why: String,
}

/// What a database says of a release's queries.
pub struct Contract {
    queries: Vec<(Query, Result<Shape, String>)>,
    columns: BTreeMap<Origin, Column>,
}

/// A column of a table: the table's OID, and the column's number in it.
type Origin = (u32, i16);

#[derive(PartialEq)]
struct Shape {
    parameters: Vec<String>,
    columns: Vec<Returned>,
}

/// A column that a query returns: its name and type, and the table's column that it is, where it is one.
type Returned = (String, String, Option<Origin>);

struct Column {
    table: String,
    name: String,
    not_null: bool,
    is_set: bool,
}

/// The queries in the cache of a release's commit. None where the release has none, or its commit is not what was released, or is not
/// in this clone.
pub async fn queries(env: &Env<'_>, record: &Record) -> Result<Vec<Query>> {
    #[derive(Deserialize)]
    struct Entry {
        query: String,
    }
    let Some(source) = record.source.as_ref().filter(|_| is_whole(record)) else { return Ok(Vec::new()) };
    // A shallow clone does not have the commit. That is no reason to fail.
    let Ok(files) = git::files(env.root(), &source.commit, Utf8Path::new(FOLDER)).await else { return Ok(Vec::new()) };
    let mut queries = Vec::new();
    for file in files.into_iter().filter(|file| file.contains("/query-") && file.ends_with(".json")) {
        let Some(bytes) = git::show_bytes(env.root(), &source.commit, &file).await? else { continue };
        // A damaged file says nothing about the release.
        if let Ok(Entry { query: text }) = serde_json::from_slice(&bytes) {
            queries.push(Query { file, text });
        }
    }
    Ok(queries)
}

fn is_whole(record: &Record) -> bool {
    record.source.as_ref().is_some_and(crate::release::Source::is_clean)
}

impl Contract {
    /// Has the database describe queries.
    pub async fn of(client: &Client, queries: impl IntoIterator<Item = Query>) -> Result<Self> {
        let rows = client.query(COLUMNS, &[]).await.context("read the columns of the temporary database")?;
        let column = |row: &tokio_postgres::Row| {
            let column = Column { table: row.get(1), name: row.get(3), not_null: row.get(4), is_set: row.get(5) };
            ((row.get(0), row.get(2)), column)
        };
        let mut described = Vec::new();
        for query in queries {
            let shape = match client.prepare(&query.text).await {
                Ok(statement) => Ok(Shape {
                    parameters: statement.params().iter().map(|kind| kind.name().to_owned()).collect(),
                    columns: statement
                        .columns()
                        .iter()
                        .map(|column| {
                            let origin = column.table_oid().zip(column.column_id());
                            (column.name().to_owned(), column.type_().name().to_owned(), origin)
                        })
                        .collect(),
                }),
                Err(error) => match error.as_db_error() {
                    Some(error) => Err(error.message().to_owned()),
                    None => return Err(error).context("have the temporary database describe a released query"),
                },
            };
            described.push((query, shape));
        }
        Ok(Self { queries: described, columns: rows.iter().map(column).collect() })
    }

    /// Its queries.
    pub fn queries(&self) -> impl Iterator<Item = Query> {
        self.queries.iter().map(|(query, _)| query.clone())
    }

    /// The queries that held before, and do not hold after a migration.
    pub fn broken(&self, after: &Self, migration: &str) -> Vec<Broken> {
        let mut broken = Vec::new();
        for ((query, before), (_, now)) in self.queries.iter().zip(&after.queries) {
            let Ok(before) = before else { continue };
            let why = match now {
                Err(why) => Some(why.clone()),
                Ok(now) => before.differs(now).or_else(|| self.differs_for(after, query, now)),
            };
            broken.extend(why.map(|why| Broken { migration: migration.to_owned(), query: query.clone(), why }));
        }
        broken
    }

    /// Why a query that has the same shape may fail all the same: by its values.
    fn differs_for(&self, after: &Self, query: &Query, now: &Shape) -> Option<String> {
        let was_not_null = |origin: &Origin| self.columns.get(origin).is_some_and(|column| column.not_null);
        let nullable =
            now.columns.iter().filter_map(|(name, _, origin)| Some((name, origin.as_ref()?))).find(|(_, origin)| {
                was_not_null(origin) && after.columns.get(origin).is_some_and(|column| !column.not_null)
            });
        if let Some((name, _)) = nullable {
            return Some(format!("column `{name}` can be NULL now, which it could not before"));
        }
        let demands = |column: &Column| column.not_null && !column.is_set;
        after.columns.iter().find_map(|(origin, column)| {
            let is_new = !self.columns.get(origin).is_some_and(demands);
            // A new table is in no released query.
            let is_in_old = self.columns.keys().any(|(table, _)| *table == origin.0);
            let is_left_out = demands(column) && is_new && is_in_old && inserts_without(&query.text, column);
            is_left_out.then(|| format!("it inserts rows without `{}`, which now needs a value", column.name))
        })
    }
}

impl Shape {
    /// Where another shape does not fit a program that was compiled for this one. More columns at the end do: it does not read them.
    fn differs(&self, now: &Self) -> Option<String> {
        if self.parameters != now.parameters {
            let (before, now) = (self.parameters.join(", "), now.parameters.join(", "));
            return Some(format!("its parameters were ({before}) and are ({now})"));
        }
        if now.columns.len() < self.columns.len() {
            return Some(format!("it had {} columns and has {}", self.columns.len(), now.columns.len()));
        }
        let pairs = self.columns.iter().zip(&now.columns);
        let mut differing = pairs.filter(|((name, kind, _), (other, now, _))| name != other || kind != now);
        differing.next().map(|((name, kind, _), (other, now, _))| format!("column `{name}` {kind} is `{other}` {now}"))
    }
}

/// Whether a query inserts rows into a column's table and does not name the column anywhere.
fn inserts_without(query: &str, column: &Column) -> bool {
    let query = query.to_lowercase();
    let words: Vec<&str> =
        query.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let (table, name) = (column.table.to_lowercase(), column.name.to_lowercase());
    // The table's name may have that of its schema before it.
    let inserts = words.windows(4).any(|four| {
        let ["insert", "into", first, second] = four else { return false };
        *first == table || *second == table
    });
    inserts && !words.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(table: &str, name: &str) -> Column {
        Column { table: table.to_owned(), name: name.to_owned(), not_null: true, is_set: false }
    }

    #[test]
    fn an_insert_without_a_column_is_told_from_others() {
        let owner = column("purchase", "owner");
        assert!(inserts_without("INSERT INTO purchase (code) VALUES ($1)", &owner));
        assert!(inserts_without("WITH a AS (insert into public.\"purchase\" (code) values ($1)) SELECT 1", &owner));
        assert!(!inserts_without("INSERT INTO purchase (code, owner) VALUES ($1, $2)", &owner));
        assert!(!inserts_without("INSERT INTO purchases (code) VALUES ($1)", &owner));
        assert!(!inserts_without("SELECT code FROM purchase", &owner));
    }

    #[test]
    fn more_columns_fit_and_others_do_not() {
        let shape = |columns: &[(&str, &str)]| Shape {
            parameters: vec!["int8".to_owned()],
            columns: columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned(), None)).collect(),
        };
        let one = shape(&[("id", "int8")]);
        assert_eq!(one.differs(&shape(&[("id", "int8"), ("name", "text")])), None);
        assert_eq!(one.differs(&shape(&[("id", "int4")])).as_deref(), Some("column `id` int8 is `id` int4"));
        assert_eq!(one.differs(&shape(&[])).as_deref(), Some("it had 1 columns and has 0"));
    }
}
