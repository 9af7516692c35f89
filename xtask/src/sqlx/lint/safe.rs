//! The safe way to do what a rule of squawk's finds. squawk's own advice is for any tool; this is for sqlx, which runs each
//! migration in a transaction, and for a service of which two releases run at the same time.

use squawk_linter::Rule;

const ALONE: &str = "safe: CONCURRENTLY, as the only statement of a migration that begins with `-- no-transaction`";

/// Two or three words of what to do instead, or squawk's advice.
pub fn safe_way(rule: Rule, advice: Option<&str>) -> String {
    let safe = match rule {
        Rule::RequireLockTimeout => {
            "safe: begin the migration with `SET LOCAL lock_timeout = '2s';`: a statement that waits for its lock makes all later \
             queries wait, and a migration that gives up is rolled back and can be repeated"
        }
        Rule::RequireConcurrentIndexCreation
        | Rule::RequireConcurrentIndexDeletion
        | Rule::RequireConcurrentReindex
        | Rule::RequireConcurrentPartitionDetach
        | Rule::BanConcurrentIndexCreationInTransaction => ALONE,
        Rule::DisallowedUniqueConstraint | Rule::AddingSerialPrimaryKeyField => {
            "safe: CREATE UNIQUE INDEX CONCURRENTLY, as the only statement of a migration that begins with `-- no-transaction`; then \
             ADD CONSTRAINT … USING INDEX in the next migration"
        }
        Rule::ConstraintMissingNotValid | Rule::AddingForeignKeyConstraint => {
            "safe: ADD CONSTRAINT … NOT VALID in this migration, VALIDATE CONSTRAINT in the next one"
        }
        Rule::AddingNotNullableField => {
            "safe: ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID in this migration, VALIDATE CONSTRAINT in the next one, and only \
             then SET NOT NULL, which needs no scan any more"
        }
        Rule::AddingRequiredField => {
            "safe: add the column with a constant DEFAULT, or nullable; the release that serves writes rows without it"
        }
        Rule::AddingFieldWithDefault => {
            "safe: add the column without the default, SET DEFAULT, then fill old rows in batches"
        }
        Rule::ChangingColumnType => {
            "safe: add a column of the new type and write both; fill old rows in batches; drop the old one when no release reads it"
        }
        Rule::RenamingColumn | Rule::RenamingTable | Rule::RenamingObject | Rule::BanSetSchema => {
            "safe: add the new name beside the old one (a column that is written too, or a view), deploy, and drop the old name when \
             no release uses it"
        }
        Rule::BanDropColumn
        | Rule::BanDropConstraint
        | Rule::BanDropDatabase
        | Rule::BanDropDefault
        | Rule::BanDropDomain
        | Rule::BanDropExtension
        | Rule::BanDropFunction
        | Rule::BanDropGeneratedExpression
        | Rule::BanDropSchema
        | Rule::BanDropSequence
        | Rule::BanDropTable
        | Rule::BanDropTrigger
        | Rule::BanDropType
        | Rule::BanDropView => "safe: deploy a release that does not use it; drop it with the release after that",
        Rule::BanDropNotNull => {
            "safe: deploy a release that reads the column as optional; allow NULL with the release after that"
        }
        _ => {
            return format!(
                "safe: {}",
                advice.unwrap_or("do it in a migration of its own, when no release depends on it")
            );
        }
    };
    safe.to_owned()
}
