//! What the service says of a database that it cannot use yet: its certificate, its extensions.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use devservers::{Ready, Server, port, tls::Authority};
use sqlx::AssertSqlSafe;

use crate::support::{Database, Setup};

#[tokio::test]
async fn a_database_is_verified_by_the_authority_that_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&Database::create().await, &authority.issue_pem("localhost")).await;
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("ca.crt");
    fs_err::write(&pem, authority.pem()).unwrap();
    let migrate = async |host: &str, query: &str, ca: Option<String>| {
        let url = format!("postgres://postgres@{host}:{}/postgres?{query}", server.port);
        let setup = Setup::new(&url, &folder.path().join("uploads"));
        let setup = ca.into_iter().fold(setup, |setup, ca| setup.var("DATABASE_CA", ca));
        run(setup).await
    };
    let file = format!("sslmode=verify-full&sslrootcert={}", pem.display());
    for (query, ca) in [(file.as_str(), None), ("", Some(authority.pem())), ("sslmode=disable", Some(authority.pem()))]
    {
        assert_eq!(migrate("localhost", query, ca).await, Ok(()), "{query}");
    }
    for (host, query, ca) in [
        ("localhost", "sslmode=verify-full", None),
        ("localhost", "", Some(other.pem())),
        // The certificate is for another host.
        ("127.0.0.1", "", Some(authority.pem())),
    ] {
        let said = migrate(host, query, ca).await.unwrap_err();
        assert!(said.contains("set DATABASE_CA to the certificate of its authority"), "{host} {query}: {said}");
    }
    let said = migrate("localhost", "", Some("a path".to_owned())).await.unwrap_err();
    assert!(said.contains("DATABASE_CA is invalid") && !said.contains("a path"), "{said}");
}

#[tokio::test]
async fn an_extension_that_is_missing_or_not_found_is_named_with_the_statement_to_type() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let pool = database.pool().await;
    let role = format!("role_{}", ulid::Ulid::new().to_string().to_lowercase());
    let sql = async |text: String| sqlx::raw_sql(AssertSqlSafe(text)).execute(&pool).await.map(drop).unwrap();
    sql(format!("CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}")).await;
    // As the role, whatever the server asks of those who log in.
    let separator = if database.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}options=-c%20role%3D{role}", database.url);
    let migrate = async || run(Setup::new(&url, folder.path())).await;

    let said = migrate().await.unwrap_err();
    assert!(said.contains("type: CREATE EXTENSION pg_trgm; or, at Supabase"), "{said}");
    sql("CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm WITH SCHEMA extensions".to_owned()).await;
    let said = migrate().await.unwrap_err();
    assert!(said.contains("SET search_path = public, extensions;"), "{said}");
    sql(format!("GRANT USAGE ON SCHEMA extensions TO {role}")).await;
    sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, extensions', current_database()); END $$".to_owned())
        .await;
    assert_eq!(migrate().await, Ok(()));
    sql(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// Runs `app migrate`; what it said, if it failed.
async fn run(setup: Setup) -> Result<(), String> {
    let run = move || setup.command().arg("migrate").output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A PostgreSQL with TLS, which takes no connection without: of the programs of the server that the tests have.
struct TlsServer {
    port: u16,
    _server: Server,
    // The last field, so that it is removed after the server has ended.
    _folder: tempfile::TempDir,
}

impl TlsServer {
    async fn start(database: &Database, (certificate, key): &(String, String)) -> Self {
        let pool = database.pool().await;
        let ask = async |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(&pool).await.unwrap();
        let programs = ask("SELECT setting FROM pg_config WHERE name = 'BINDIR'").await;
        // The folder of the tests may be closed to the user that PostgreSQL runs as.
        let folder = tempfile::Builder::new().prefix("tls-").tempdir_in("/tmp").unwrap();
        let path = folder.path();
        let is_root = fs_err::metadata(path).unwrap().uid() == 0;
        // It refuses to run as root.
        let user = match is_root {
            true => {
                Some(fs_err::metadata(ask("SHOW data_directory").await).unwrap()).map(|data| (data.uid(), data.gid()))
            }
            false => None,
        };
        let give = |path: &Path| user.into_iter().for_each(|(uid, gid)| chown(path, Some(uid), Some(gid)).unwrap());
        let program = |name: &str| {
            let mut command = Command::new(Path::new(&programs).join(name));
            command.current_dir(path);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        give(path);
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let file = path.join(name);
            fs_err::write(&file, content).unwrap();
            fs_err::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            give(&file);
        }
        let made = program("initdb")
            .args([
                "--pgdata=data",
                "--username=postgres",
                "--auth=reject",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs_err::write(path.join("data/pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        let port = port::free();
        let mut command = program("postgres");
        command.args(["-D", "data", "-p", &port.to_string(), "-k", path.to_str().unwrap(), "-c", "fsync=off"]);
        for setting in
            ["listen_addresses=127.0.0.1", "ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"]
        {
            command.args(["-c", setting]);
        }
        let server = Server::start(command, Ready::Port(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).unwrap();
        Self { port, _server: server, _folder: folder }
    }
}
