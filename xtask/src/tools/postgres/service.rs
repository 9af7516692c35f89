//! The role that a service connects with. It owns its own database and may do nothing else: a superuser could run programs as
//! the server's user.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Server;
use super::server::MAINTENANCE;
use crate::hash::sha256;

/// What the superuser owns in a database, as statements that give it to the role `$1`: what the service made while it was the
/// superuser, which it still was with earlier toolkits. What belongs to an extension stays with it, and what belongs to a table
/// (its row type, its toast table, the sequence of its column) follows it.
const GIVE_ALL: &str = "
WITH me AS (SELECT oid FROM pg_roles WHERE rolname = current_user),
owned (class, object, is_sequence) AS (
    SELECT 'pg_namespace'::regclass, oid, false FROM pg_namespace
        WHERE nspowner IN (TABLE me) AND (oid >= 16384 OR nspname = 'public') AND nspname !~ '^pg_'
    UNION ALL SELECT 'pg_class'::regclass, oid, relkind = 'S' FROM pg_class
        WHERE relowner IN (TABLE me) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
    UNION ALL SELECT 'pg_type'::regclass, type.oid, false FROM pg_type type LEFT JOIN pg_class ON pg_class.oid = typrelid
        WHERE typowner IN (TABLE me) AND (typrelid = 0 OR relkind = 'c')
    UNION ALL SELECT 'pg_proc'::regclass, oid, false FROM pg_proc WHERE proowner IN (TABLE me)
    UNION ALL SELECT 'pg_operator'::regclass, oid, false FROM pg_operator WHERE oprowner IN (TABLE me)
    UNION ALL SELECT 'pg_opclass'::regclass, oid, false FROM pg_opclass WHERE opcowner IN (TABLE me)
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, false FROM pg_opfamily WHERE opfowner IN (TABLE me)
    UNION ALL SELECT 'pg_collation'::regclass, oid, false FROM pg_collation WHERE collowner IN (TABLE me)
    UNION ALL SELECT 'pg_conversion'::regclass, oid, false FROM pg_conversion WHERE conowner IN (TABLE me)
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, false FROM pg_ts_config WHERE cfgowner IN (TABLE me)
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, false FROM pg_ts_dict WHERE dictowner IN (TABLE me)
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, false FROM pg_statistic_ext WHERE stxowner IN (TABLE me)
    UNION ALL SELECT 'pg_largeobject'::regclass, oid, false FROM pg_largeobject_metadata WHERE lomowner IN (TABLE me)
)
SELECT format('ALTER %s %s OWNER TO %I', replace(type, 'statistics object', 'statistics'), identity, $1::text)
FROM owned, pg_identify_object(class, object, 0)
WHERE (object >= 16384 OR class IN ('pg_namespace'::regclass, 'pg_largeobject'::regclass)) AND NOT EXISTS (
    SELECT FROM pg_depend
    WHERE classid = class AND objid = object AND objsubid = 0 AND (deptype IN ('e', 'i') OR is_sequence AND deptype = 'a')
)";

impl Server {
    /// Creates a database for a service if it does not exist. It is the service's role's, with all that is in it.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let client = self.client(MAINTENANCE).await?;
        self.create_role(&client).await?;
        let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1";
        let owner = client.query_opt(owner, &[&name]).await?.map(|row| row.get::<_, String>(0));
        // The database itself is given last.
        if owner.as_ref() == Some(&self.service_role()) {
            return Ok(());
        }
        if owner.is_none() {
            match self.execute(&client, "CREATE DATABASE %I", &[name]).await {
                // Another process created it meanwhile.
                Err(error)
                    if matches!(error.code(), Some(&SqlState::DUPLICATE_DATABASE | &SqlState::UNIQUE_VIOLATION)) => {}
                made => made.with_context(|| format!("create database {name}"))?,
            }
        }
        self.give_database(name).await
    }

    /// Makes the service's role the owner of everything that the superuser has made in a database, and of the database.
    pub async fn give_database(&self, name: &str) -> Result<()> {
        let (mut client, role) = (self.client(name).await?, self.service_role());
        let give = async {
            let transaction = client.transaction().await?;
            // Behind a query of the service that runs for long, other queries would have to wait.
            transaction.batch_execute("SET LOCAL lock_timeout = '10s'").await?;
            for statement in transaction.query(GIVE_ALL, &[&role]).await? {
                transaction.batch_execute(statement.get(0)).await?;
            }
            transaction.commit().await?;
            self.execute(&client, "ALTER DATABASE %I OWNER TO %I", &[name, &role]).await
        };
        give.await.with_context(|| format!("give database {name} to the role {role}"))
    }

    /// The URL of a database for the service, in the format of [`Server::url`].
    pub fn service_url(&self, database: &str) -> SecretString {
        self.url_for(&self.service_role(), &self.service_password(), database)
    }

    /// The same for a service that finds the server's socket in another folder, as one in a container does.
    pub fn service_url_at(&self, database: &str, sockets: &Utf8Path) -> SecretString {
        self.url_at(&self.service_role(), &self.service_password(), database, sockets)
    }

    /// A connection to a database as the service's role.
    pub async fn service_client(&self, database: &str) -> Result<Client> {
        let client = self.connect_as(&self.service_role(), &self.service_password(), database).await;
        client.with_context(|| format!("connect to database {database} as {}", self.service_role()))
    }

    /// The password of the service's role. The superuser's does not follow from it.
    pub fn service_password(&self) -> SecretString {
        SecretString::from(sha256(format!("the service's role\n{}", self.password.expose_secret()).as_bytes()))
    }

    fn service_role(&self) -> String {
        format!("{}_service", self.role)
    }

    /// Creates the role where it is missing, and closes the databases that are not the service's.
    async fn create_role(&self, client: &Client) -> Result<()> {
        let role = self.service_role();
        if client.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?.is_none() {
            let create = "CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD %L";
            match self.execute(client, create, &[&role, self.service_password().expose_secret()]).await {
                // Another process created it meanwhile.
                Err(error)
                    if matches!(error.code(), Some(&SqlState::DUPLICATE_OBJECT | &SqlState::UNIQUE_VIOLATION)) => {}
                made => made.with_context(|| format!("create the role {role}"))?,
            }
            client.batch_execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC").await?;
        }
        Ok(())
    }

    /// Runs a statement with these values in the places of `%I` and `%L`, which the server quotes.
    async fn execute(&self, client: &Client, format: &str, values: &[&str]) -> Result<(), tokio_postgres::Error> {
        let row = client.query_one("SELECT format($1::text, VARIADIC $2::text[])", &[&format, &values]).await?;
        client.batch_execute(row.get(0)).await
    }
}
