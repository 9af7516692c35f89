//! The extensions of PostgreSQL that the migrations and the queries use.

use anyhow::{Context, bail};
use sqlx::PgPool;

/// Each is of PostgreSQL's own package, and trusted: a role that may create in the database may create it.
const REQUIRED: [&str; 1] = ["pg_trgm"];

/// What the server and the role have of an extension.
#[derive(sqlx::FromRow)]
struct Found {
    /// The server has its files.
    is_available: bool,
    /// The database's schema that has it, if one has.
    schema: Option<String>,
    /// Whether queries find it without naming that schema.
    is_on_path: bool,
    /// Whether the role may create it.
    may_create: bool,
}

/// Checks each by its name, before a migration fails for want of it.
///
/// # Errors
/// With the statement to type.
pub async fn check(pool: &PgPool) -> anyhow::Result<()> {
    for name in REQUIRED {
        let found: Found = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1) AS is_available,
                    namespace.nspname::text AS schema,
                    coalesce(namespace.nspname = ANY (current_schemas(true)), false) AS is_on_path,
                    has_database_privilege(current_database(), 'CREATE') AS may_create
             FROM (SELECT) AS one
             LEFT JOIN pg_extension AS extension ON extension.extname = $1
             LEFT JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace",
        )
        .bind(name)
        .fetch_one(pool)
        .await
        .with_context(|| format!("cannot check whether the database has the extension {name}"))?;
        match found {
            Found { schema: Some(_), is_on_path: true, .. }
            | Found { schema: None, may_create: true, is_available: true, .. } => {}
            Found { schema: Some(schema), .. } => bail!(
                "the database has the extension {name} in the schema {schema}, which is not on the search path of the role in DATABASE_URL; \
                 as the database's owner (at Supabase, in the SQL editor) type: ALTER ROLE … SET search_path = public, {schema};"
            ),
            Found { is_available: true, .. } => bail!(
                "the database lacks the extension {name}, and the role in DATABASE_URL may not create it; \
                 as the database's owner type: CREATE EXTENSION {name}; \
                 or, at Supabase, in the SQL editor: CREATE EXTENSION {name} WITH SCHEMA extensions;"
            ),
            Found { .. } => bail!(
                "the database server has no extension {name}; install the package of PostgreSQL's extensions there, \
                 such as postgresql-contrib"
            ),
        }
    }
    Ok(())
}
