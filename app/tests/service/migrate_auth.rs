//! `app migrate-auth`: the service's own accounts become users of a project at Supabase.

use devservers::supabase::{PUBLISHABLE_KEY, SECRET_KEY, Signer, Supabase};
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    supabase,
    support::{Service, Setup},
};

/// How the command ended: whether well, what it printed, and its errors.
struct Ended {
    success: bool,
    out: String,
    errors: String,
}

async fn migrate(service: &Service, project: &Supabase, key: &str, args: &[&str]) -> Ended {
    let setup = Setup::new(&service.database.url, service.folder.path());
    let setup = supabase::kept_at(project, setup).var("SUPABASE_SERVICE_ROLE_KEY", key);
    let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || setup.command().arg("migrate-auth").args(args).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ended = Ended { success: output.status.success(), out: text(&output.stdout), errors: text(&output.stderr) };
    assert!(!ended.out.contains(SECRET_KEY) && !ended.errors.contains(SECRET_KEY), "the key is shown");
    ended
}

#[tokio::test]
async fn accounts_become_users_with_their_ids_and_are_sent_a_link_once() {
    let signer = Signer::new("one");
    let project = Supabase::start(&[&signer]);
    let service = Service::signed_in().await;
    let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    for (id, name) in ids.iter().zip(["ada@example.org", "Bob@Example.org", "closed@example.org"]) {
        let insert =
            format!("INSERT INTO account (id, username, password_hash) VALUES ('{id}', '{name}', 'sentinel hash')");
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&service.pool).await.unwrap();
    }
    let close = "UPDATE account SET closed_at = now() WHERE username = 'closed@example.org'";
    sqlx::raw_sql(close).execute(&service.pool).await.unwrap();
    let addresses = service.folder.path().join("addresses");
    fs_err::write(&addresses, "First first@example.org\n\n").unwrap();
    let addresses = ["--addresses", addresses.to_str().unwrap()];

    // Nothing is done without being asked for.
    let dry = migrate(&service, &project, SECRET_KEY, &["--dry-run", addresses[0], addresses[1]]).await;
    assert!(dry.success, "{}", dry.errors);
    assert!(dry.out.contains("ada@example.org: a user would be made") && dry.out.contains("3 to move"), "{}", dry.out);
    assert!(project.users().is_empty() && project.mails().is_empty());

    // The limit of mails is reached: the second user is made, and sent no link.
    project.limit_mails(Some(1));
    let limited = migrate(&service, &project, SECRET_KEY, &addresses).await;
    assert!(!limited.success && limited.errors.contains("sends no more mails"), "{}", limited.errors);
    assert_eq!((project.users().len(), project.mails().len()), (2, 1));
    // Without its address, one fails, and the others are moved.
    project.limit_mails(None);
    let partly = migrate(&service, &project, SECRET_KEY, &[]).await;
    assert!(
        !partly.success && partly.errors.contains("first: its user name is no e-mail address"),
        "{}",
        partly.errors
    );
    let whole = migrate(&service, &project, SECRET_KEY, &addresses).await;
    assert!(whole.success && whole.out.contains("3 were moved before, 0 failed"), "{} {}", whole.out, whole.errors);
    let mut mails = project.mails();
    mails.sort();
    assert_eq!(mails, ["Bob@Example.org", "ada@example.org", "first@example.org"]);
    assert!(project.users().iter().any(|user| user["id"] == json!(ids[0]) && user["email"] == "ada@example.org"));
    assert!(project.asked().iter().all(|request| !String::from_utf8_lossy(&request.body).contains("hash")));

    // Two accounts cannot be one user.
    let insert = "INSERT INTO account (username, password_hash) VALUES ('Ada', '')";
    sqlx::raw_sql(insert).execute(&service.pool).await.unwrap();
    let twice = service.folder.path().join("twice");
    fs_err::write(&twice, "first first@example.org\nada ada@example.org").unwrap();
    let twice = migrate(&service, &project, SECRET_KEY, &["--addresses", twice.to_str().unwrap()]).await;
    assert!(
        !twice.success && twice.errors.contains("two accounts have the address ada@example.org"),
        "{}",
        twice.errors
    );

    // The account is that of the user.
    let there = Service { token: signer.sign(&supabase::claims(&project, ids[0], "ada@example.org")), ..service };
    let process = supabase::kept_at(&project, Setup::new(&there.database.url, there.folder.path())).start().await;
    let there = Service { process, ..there };
    let me = there.json("/api/auth/me").await;
    assert_eq!((&me["id"], &me["username"]), (&json!(ids[0]), &json!("ada@example.org")));
}

#[tokio::test]
async fn what_keeps_the_command_from_working_is_told() {
    let project = Supabase::start(&[]);
    let service = Service::signed_in().await;
    let file = service.folder.path().join("addresses");
    let told = async |key: &str, content: &str| {
        fs_err::write(&file, content).unwrap();
        let ended = migrate(&service, &project, key, &["--addresses", file.to_str().unwrap()]).await;
        assert!(!ended.success, "{}", ended.out);
        ended.errors
    };
    let good = "first first@example.org";
    for (key, content, expected) in [
        ("", good, "SUPABASE_SERVICE_ROLE_KEY is not set"),
        (PUBLISHABLE_KEY, good, "the project refuses SUPABASE_SERVICE_ROLE_KEY: 401"),
        (SECRET_KEY, "\nfirst", "line 2 of"),
        (SECRET_KEY, "first first@example.org\nFirst other@example.org", "names First again"),
        (SECRET_KEY, "second second@example.org", "names second, which is no account"),
    ] {
        let errors = told(key, content).await;
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
    project.go_away();
    let errors = told(SECRET_KEY, good).await;
    assert!(errors.contains("first: the project answers 500") && errors.contains("run the command again"), "{errors}");
    project.come_back();
    assert!(project.users().is_empty());
}
