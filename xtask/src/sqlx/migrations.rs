//! A version's migrations, compared with those of earlier releases.

use crate::release::Migration;
use crate::state::history::Record;

/// A version's migrations, compared with those of earlier releases.
pub struct Compared<'m> {
    /// Those that no release had, in the order in which they will run.
    pub pending: Vec<&'m Migration>,
    /// Why the version must not be released.
    pub refusals: Vec<String>,
}

/// Compares a version's migrations with those of every release that went live, oldest first. A release that was rolled back
/// counts too: its migrations ran.
pub fn compare<'m>(migrations: &'m [Migration], live: &[Record]) -> Compared<'m> {
    let released = released(live);
    let newest = released.last().map(|(record, migration)| (record, migration, number(&migration.name)));
    let (mut pending, mut refusals) = (Vec::new(), Vec::new());
    for migration in migrations {
        let before = released.iter().find(|(_, released)| released.name == migration.name);
        match (before, newest) {
            (Some((record, before)), _) if before.sha256 != migration.sha256 => refusals.push(format!(
                "migration {} has changed since it was released with {}; put the change into a new migration",
                migration.name,
                record.version()
            )),
            (Some(_), _) => {}
            // An existing database would run it after the newer one, a new database before it.
            (None, Some((record, newest, last))) if number(&migration.name).is_some_and(|own| Some(own) <= last) => {
                refusals.push(format!(
                    "migration {} is new, but its number comes before {}, which was released with {}; give it a higher number",
                    migration.name,
                    newest.name,
                    record.version()
                ));
            }
            (None, _) => pending.push(migration),
        }
    }
    pending.sort_by_key(|migration| number(&migration.name));
    Compared { pending, refusals }
}

/// Every released migration with the newest record that has it, in the order in which they ran.
pub fn released(live: &[Record]) -> Vec<(&Record, &Migration)> {
    let mut all: Vec<(&Record, &Migration)> = Vec::new();
    for record in live.iter().rev() {
        for migration in &record.migrations {
            if !all.iter().any(|(_, known)| known.name == migration.name) {
                all.push((record, migration));
            }
        }
    }
    all.sort_by_key(|(_, migration)| (number(&migration.name), migration.name.as_str()));
    all
}

/// The number of `0001_name.sql`, by which sqlx sorts. None for another form of name, which sqlx ignores (sqlx-core 0.9,
/// `src/migrate/source.rs`).
pub fn number(name: &str) -> Option<i64> {
    let (number, rest) = name.split_once('_')?;
    if rest.ends_with(".sql") { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::history::Kind;

    fn migration(name: &str, content: &str) -> Migration {
        Migration { name: name.to_owned(), sha256: content.to_owned(), irreversible: false }
    }

    fn live(migrations: &[(&str, &str)]) -> Record {
        let mut record = Record::begin("id".to_owned(), Kind::Deploy, "local", 1);
        record.migrations = migrations.iter().map(|(name, content)| migration(name, content)).collect();
        record
    }

    #[test]
    fn new_migrations_are_pending_in_the_order_of_their_numbers() {
        let live_records = [live(&[("1_a.sql", "a"), ("2_b.sql", "b")]), live(&[("1_a.sql", "a")])];
        let now = [migration("1_a.sql", "a"), migration("10_d.sql", "d"), migration("9_c.sql", "c")];
        let compared = compare(&now, &live_records);
        let names: Vec<&str> = compared.pending.iter().map(|migration| migration.name.as_str()).collect();
        assert_eq!(names, ["9_c.sql", "10_d.sql"]);
        assert!(compared.refusals.is_empty(), "{:?}", compared.refusals);
    }

    #[test]
    fn a_changed_or_late_migration_is_refused() {
        let live_records = [live(&[("0001_a.sql", "a"), ("0003_c.sql", "c")])];
        let now = [migration("0001_a.sql", "A"), migration("0002_b.sql", "b"), migration("0003_x.sql", "x")];
        let refusals = compare(&now, &live_records).refusals;
        assert_eq!(refusals.len(), 3, "{refusals:?}");
        assert!(refusals[0].contains("0001_a.sql has changed"), "{refusals:?}");
        assert!(refusals[1].contains("0002_b.sql is new, but its number comes before 0003_c.sql"), "{refusals:?}");
        assert!(refusals[2].contains("0003_x.sql is new, but its number comes before 0003_c.sql"), "{refusals:?}");
    }
}
