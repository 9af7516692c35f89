//! Generated rows for every table, so that a new migration runs on data before it runs on users' data.
//!
//! A value depends only on its type and the number of its row, so a foreign key finds its row in the other table. Values that
//! CHECK constraints name are tried too, until a row satisfies all of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::values::{Candidates, ROWS, literals};

/// Attempts to insert a row before its table stays empty.
const TRIES: usize = 300;

/// The result of [`fill`].
#[derive(Debug, Default)]
pub struct Filled {
    /// Tables with rows.
    pub tables: usize,
    /// Empty tables, and why.
    pub empty: Vec<(String, String)>,
}

struct Table {
    oid: u32,
    /// Quoted, with its schema if necessary.
    name: String,
    columns: Vec<Column>,
    checks: Vec<Check>,
    /// Foreign keys: by column, the table and column that it refers to.
    references: BTreeMap<i16, (u32, String, String)>,
}

struct Column {
    number: i16,
    /// Quoted.
    name: String,
    candidates: Candidates,
}

struct Check {
    name: String,
    columns: Vec<i16>,
}

/// Puts rows into every table of a database. Triggers do not run.
pub async fn fill(client: &Client) -> Result<Filled> {
    let tables = tables(client).await.context("read the schema")?;
    client.batch_execute("SET session_replication_role = replica").await?;
    let mut filled = Filled::default();
    for table in by_dependency(&tables) {
        let mut why = None;
        for row in 1..=ROWS {
            if let Err(refused) = insert(client, table, row).await? {
                why.get_or_insert(refused);
            }
        }
        let any = client.query_one(&format!("SELECT EXISTS (SELECT FROM {})", table.name), &[]).await?;
        match (any.get(0), why) {
            (true, _) => filled.tables += 1,
            (false, why) => filled.empty.push((table.name.clone(), why.unwrap_or_default())),
        }
    }
    // Rows that a migration adds get higher numbers.
    let user = "schemaname NOT IN ('pg_catalog', 'information_schema')";
    let beyond = "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1000)";
    client.batch_execute(&format!("{beyond} FROM pg_sequences WHERE {user} AND max_value > 1000")).await?;
    client.batch_execute("RESET session_replication_role").await?;
    Ok(filled)
}

/// Tries values until a row satisfies every constraint. The inner error says why none does.
async fn insert(client: &Client, table: &Table, row: usize) -> Result<Result<(), String>> {
    let mut choices: BTreeMap<i16, usize> = BTreeMap::new();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    for _ in 0..TRIES {
        let value = |column: &Column| {
            let choice = choices.get(&column.number).copied().unwrap_or_default();
            let own = column.candidates.get(row, choice);
            match table.references.get(&column.number) {
                // The row of the other table with the same number; the first one if it has fewer.
                Some((_, other, theirs)) if own != "NULL" => {
                    let nth = |offset: usize| {
                        format!("(SELECT o.{theirs} FROM {other} o ORDER BY o.ctid OFFSET {offset} LIMIT 1)")
                    };
                    format!("coalesce({}, {}, {own})", nth(row - 1), nth(0))
                }
                _ => own,
            }
        };
        let values: Vec<String> = table.columns.iter().map(value).collect();
        let insert = match names.is_empty() {
            true => format!("INSERT INTO {} DEFAULT VALUES", table.name),
            false => format!(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                table.name,
                names.join(", "),
                values.join(", ")
            ),
        };
        let Err(error) = client.batch_execute(&insert).await else { return Ok(Ok(())) };
        let Some(refused) = error.as_db_error() else { return Err(error).context("insert rows into the tables") };
        let check = table.checks.iter().find(|check| Some(check.name.as_str()) == refused.constraint());
        let (Some(check), &SqlState::CHECK_VIOLATION) = (check, refused.code()) else {
            return Ok(Err(refused.message().to_owned()));
        };
        if !advance(table, check, &mut choices) {
            return Ok(Err(refused.message().to_owned()));
        }
    }
    Ok(Err(format!("none of {TRIES} rows satisfies its constraints")))
}

/// Advances to the next combination of values for the columns of a constraint. False when all were tried.
fn advance(table: &Table, check: &Check, choices: &mut BTreeMap<i16, usize>) -> bool {
    for column in table.columns.iter().filter(|column| check.columns.contains(&column.number)) {
        let choice = choices.entry(column.number).or_default();
        *choice += 1;
        if *choice < column.candidates.count() {
            return true;
        }
        *choice = 0;
    }
    false
}

/// Tables that others refer to come first. In a circle of references the order does not matter, since values follow from row
/// numbers.
fn by_dependency(tables: &[Table]) -> Vec<&Table> {
    let mut rest: Vec<&Table> = tables.iter().collect();
    let mut ordered: Vec<&Table> = Vec::new();
    while !rest.is_empty() {
        let is_ordered = |oid: u32, own: u32| oid == own || ordered.iter().any(|table| table.oid == oid);
        let is_ready = |table: &&Table| table.references.values().all(|(other, _, _)| is_ordered(*other, table.oid));
        let next = rest.iter().position(is_ready).unwrap_or_default();
        ordered.push(rest.remove(next));
    }
    ordered
}

async fn tables(client: &Client) -> Result<Vec<Table>> {
    let of_user = "c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' \
                   AND n.nspname <> 'information_schema'";
    let from = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace";
    let rows = client
        .query(&format!("SELECT c.oid, c.oid::regclass::text {from} WHERE {of_user} ORDER BY c.oid"), &[])
        .await?;
    let mut tables: Vec<Table> = rows
        .iter()
        .map(|row| Table {
            oid: row.get(0),
            name: row.get(1),
            columns: Vec::new(),
            checks: Vec::new(),
            references: BTreeMap::new(),
        })
        .collect();
    for table in &mut tables {
        let rules = client
            .query(
                "SELECT conname::text, coalesce(conkey, '{}'), cardinality(conkey) IS NOT DISTINCT FROM 1, pg_get_constraintdef(oid) \
                 FROM pg_constraint WHERE conrelid = $1 AND contype = 'c' \
                 UNION ALL \
                 SELECT d.conname::text, array_agg(a.attnum), true, pg_get_constraintdef(d.oid) \
                 FROM pg_attribute a JOIN pg_constraint d ON d.contypid = a.atttypid AND d.contype = 'c' \
                 WHERE a.attrelid = $1 GROUP BY d.oid, d.conname",
                &[&table.oid],
            )
            .await?;
        let mut named: BTreeMap<i16, Vec<(bool, String)>> = BTreeMap::new();
        for row in &rules {
            let (columns, alone) = (row.get::<_, Vec<i16>>(1), row.get::<_, bool>(2));
            for column in &columns {
                let entry = named.entry(*column).or_default();
                entry.extend(literals(row.get(3)).into_iter().map(|literal| (alone, literal)));
            }
            table.checks.push(Check { name: row.get(0), columns });
        }
        table.references = references(client, table.oid).await?;
        table.columns = columns(client, table.oid, &named).await?;
    }
    Ok(tables)
}

/// The foreign keys of a table. A column in several counts for the first.
async fn references(client: &Client, table: u32) -> Result<BTreeMap<i16, (u32, String, String)>> {
    let rows = client
        .query(
            "SELECT k.own, f.confrelid, f.confrelid::regclass::text, quote_ident(a.attname) \
             FROM pg_constraint f, unnest(f.conkey, f.confkey) AS k (own, other), pg_attribute a \
             WHERE f.conrelid = $1 AND f.contype = 'f' AND a.attrelid = f.confrelid AND a.attnum = k.other \
             ORDER BY f.oid DESC",
            &[&table],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect())
}

async fn columns(client: &Client, table: u32, named: &BTreeMap<i16, Vec<(bool, String)>>) -> Result<Vec<Column>> {
    let rows = client
        .query(
            "WITH RECURSIVE base AS ( \
                 SELECT t.oid AS column_type, t.oid, t.typtype, t.typbasetype, t.typname, t.typcategory, t.typnotnull \
                 FROM pg_type t \
                 UNION ALL \
                 SELECT b.column_type, t.oid, t.typtype, t.typbasetype, t.typname, t.typcategory, \
                        b.typnotnull OR t.typnotnull \
                 FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd') \
             SELECT a.attnum, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), \
                    NOT (a.attnotnull OR b.typnotnull), \
                    b.typname::text, b.typcategory::text, \
                    ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder) \
             FROM pg_attribute a JOIN base b ON b.column_type = a.atttypid AND b.typtype <> 'd' \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
             ORDER BY a.attnum",
            &[&table],
        )
        .await?;
    let none = Vec::new();
    let column = |row: &tokio_postgres::Row| {
        let number = row.get(0);
        let base = super::values::Base { name: row.get(4), category: row.get(5), labels: row.get(6) };
        let named = named.get(&number).unwrap_or(&none);
        Column { number, name: row.get(1), candidates: Candidates::new(row.get(2), row.get(3), &base, named) }
    };
    Ok(rows.iter().map(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::postgres::{Choice, Throwaway};

    #[tokio::test]
    async fn every_kind_of_table_gets_rows_that_satisfy_its_constraints() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = Throwaway::start(Choice::Auto).await.unwrap();
        let client = server.server().client("postgres").await.unwrap();
        client
            .batch_execute(
                r#"
                CREATE SCHEMA "the shop";
                CREATE DOMAIN email AS text CHECK (VALUE ~ '^[a-z0-9]+@[a-z]+\.org$');
                CREATE DOMAIN age AS int NOT NULL;
                CREATE TYPE mood AS ENUM ('fine', 'cross');
                CREATE TABLE seeded (id serial PRIMARY KEY, word text NOT NULL UNIQUE);
                INSERT INTO seeded (word) VALUES ('one'), ('two');
                CREATE TABLE types (
                    a smallint, b bigint GENERATED ALWAYS AS IDENTITY, c numeric(6, 2), d real, e money, f boolean,
                    g date, h time, i timestamptz, j interval, k uuid, l json, m jsonb, n bytea, o inet, p cidr,
                    q macaddr, r int[], s text[], t int4range, u tstzrange, v mood, w char(3), x varchar(2), y xml,
                    z bit(1), aa point, bb tsvector, cc age, dd mood[], ee bigint GENERATED ALWAYS AS (a * 2) STORED,
                    EXCLUDE USING gist (t WITH &&)
                );
                CREATE TABLE "the shop"."Order" (
                    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
                    "is it" text NOT NULL CHECK ("is it" IN ('pending', 'ready', 'failed')),
                    failure text, mime text, size bigint CHECK (size > 10), sha bytea CHECK (octet_length(sha) = 32),
                    seeded int NOT NULL REFERENCES seeded, parent text REFERENCES "the shop"."Order",
                    CHECK (("is it" = 'failed') = (failure IS NOT NULL)),
                    CHECK ("is it" <> 'ready' OR (mime IS NOT NULL AND size IS NOT NULL AND sha IS NOT NULL))
                );
                CREATE TABLE line (
                    -- Created before the table that it refers to.
                    "order" text NOT NULL, number int NOT NULL, PRIMARY KEY ("order", number),
                    percent int NOT NULL CHECK (percent BETWEEN 90 AND 100)
                );
                ALTER TABLE line ADD FOREIGN KEY ("order") REFERENCES "the shop"."Order";
                CREATE TABLE part (a text, b int, FOREIGN KEY (a, b) REFERENCES line);
                CREATE TABLE one (id int PRIMARY KEY, other int NOT NULL);
                CREATE TABLE other (id int PRIMARY KEY, one int NOT NULL REFERENCES one);
                ALTER TABLE one ADD FOREIGN KEY (other) REFERENCES other;
                CREATE TABLE logged (at date NOT NULL) PARTITION BY RANGE (at);
                CREATE TABLE logged_2024 PARTITION OF logged FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
                CREATE TABLE nothing (CHECK (1 < 2));
                CREATE TABLE flag (alone boolean PRIMARY KEY CHECK (alone));
                CREATE TABLE impossible (a int CHECK (a > 5 AND a < 3 AND a IS NOT NULL));
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON flag FOR EACH ROW EXECUTE FUNCTION refuse();
                CREATE TABLE mailed (address email NOT NULL);
                "#,
            )
            .await
            .unwrap();
        let filled = fill(&client).await.unwrap();
        let empty: Vec<&str> = filled.empty.iter().map(|(table, _)| table.as_str()).collect();
        assert_eq!(empty, ["impossible"], "{filled:?}");
        assert_eq!(filled.tables, 11);
        // Foreign keys find their rows, and the next row gets a free number.
        let ask = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        assert_eq!(ask(r#"SELECT count(*) FROM "the shop"."Order" o JOIN seeded s ON s.id = o.seeded"#).await, 3);
        assert_eq!(ask(r#"SELECT count(*) FROM line l JOIN "the shop"."Order" o ON o.id = l."order""#).await, 3);
        assert_eq!(ask("SELECT count(*) FROM part p JOIN line l ON (l.\"order\", l.number) = (p.a, p.b)").await, 2);
        assert_eq!(ask("SELECT count(*) FROM one o JOIN other p ON p.id = o.other AND p.one = o.id").await, 3);
        assert_eq!(ask("SELECT count(*) FROM types WHERE a IS NULL").await, 1);
        client.batch_execute("INSERT INTO seeded (word) VALUES ('free')").await.unwrap();
    }
}
