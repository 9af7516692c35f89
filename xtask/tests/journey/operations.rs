//! The parts of the first scenario: the events in the life of a release.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::gallery::Visitor;
use crate::load::Load;
use crate::processes::{self, is_alive, kill};
use crate::site::Site;
use testkit::client::Client;
use testkit::until;

const HEALTH: &str = "app/src/http/health.rs";
/// The program around the service's library. A change of it compiles in seconds, as the library is not compiled again.
const PROGRAM: &str = "app/src/main.rs";

/// The answer of `alive`. Changing it makes a new version of the service.
const ALIVE: &str = r#"status: "alive""#;

/// The first deploy and its results.
pub fn first_deploy(site: &Site) {
    let said = site.deploy();
    site.share_build();
    assert_eq!(said.out, "", "a deploy has no result for programs");
    let said = said.says(&["first release: ", "live "]);
    assert!(!said.err.contains("warning: "), "a newcomer sees no warnings:\n{}", said.err);
    let mode = fs_err::metadata(site.state().join("secrets.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(TcpListener::bind(("127.0.0.1", site.port)).is_err(), "no process listens on the port");
}

/// Two new versions are deployed under load, without a failed request.
pub fn deploy_under_load(site: &Site, visitor: &Visitor, thumbnail: &str) {
    let load = Load::begin(site, &visitor.token, thumbnail);
    let mut versions = vec![site.checkout.version()];
    let changes: [fn(&Site); 2] = [change_library, change_program];
    for change in changes {
        change(site);
        site.deploy().says(&[&format!("cargo xtask rollback local     ({} is kept)", versions[versions.len() - 1])]);
        versions.push(site.checkout.version());
        let alive = Client::new(site.port).get("/api/health/liveness").unwrap().expect(200).json();
        assert_eq!(alive["status"], "changed");
    }
    let seen = load.end();
    site.note(&format!("two deploys under load: {seen}"));
    seen.assert_flawless();
    assert!(seen.uploads > 0);
    for version in versions {
        assert!(seen.versions.contains_key(&version), "{version} was never seen: {:?}", seen.versions);
    }
    site.deploy().says(&["unchanged"]);
}

/// A version that is never ready and one that does not start: neither gets a request.
pub fn broken_versions(site: &Site, visitor: &Visitor, thumbnail: &str) {
    let good = site.checkout.version();
    let load = Load::begin(site, &visitor.token, thumbnail);
    // Its other commands work: a deploy asks it for its settings.
    site.checkout.edit(
        PROGRAM,
        "    app::main()",
        "    assert!(std::env::args().all(|argument| argument != \"serve\"), \"no moon tonight\");\n    app::main()",
    );
    site.checkout.configure(short_gate);
    site.checkout.commit("Does not start");
    let said = site.xtask("deploy").expect(30);
    said.says(&["its process ended", "the end of its log", "no moon tonight", &good, "serves as before"]);
    site.checkout.take_back();

    site.checkout.edit(HEALTH, "let ready = ", "let ready = false && ");
    site.checkout.configure(short_gate);
    site.checkout.commit("Never ready");
    let said = site.xtask("deploy").expect(30);
    said.says(&[
        "it was not ready within 3 s",
        "says unready",
        "the end of its log",
        "listening",
        &good,
        "serves as before",
    ]);
    site.checkout.take_back();

    let seen = load.end();
    site.note(&format!("two broken versions under load: {seen}"));
    seen.assert_flawless();
    assert_eq!(seen.versions.keys().collect::<Vec<_>>(), [&good]);
    assert_eq!(site.status()["version"], good.as_str());
    site.xtask("history").expect(0).says(&["restored", "it was not ready within 3 s", "serves"]);
}

/// A migration that old code supports, and an irreversible one in a version that is not ready.
pub fn migrations(site: &Site) {
    let before = site.checkout.version();
    let added = site.checkout.add_migration("journey_adds", "CREATE TABLE journey (id integer PRIMARY KEY);\n");
    site.checkout.stamp_queries();
    site.checkout.commit("A migration");
    site.deploy().says(&[&format!("migration {added}")]);
    site.xtask("rollback local").expect(0).says(&[&before]);
    assert_eq!(site.status()["version"], before.as_str());
    Visitor::log_in(site).client.get("/api/media").unwrap().expect(200);
    site.deploy();

    let last = site.checkout.add_migration("journey_drops", "-- irreversible\nDROP TABLE journey;\n");
    site.checkout.stamp_queries();
    site.checkout.edit(HEALTH, "let ready = ", "let ready = false && ");
    site.checkout.configure(short_gate);
    site.checkout.commit("A migration with no way back, and a mistake");
    site.xtask("deploy").expect(30).says(&[&last, "may have been applied", "deploy a fixed release soon"]);
    site.checkout.edit(HEALTH, "let ready = false && ", "let ready = ");
    site.checkout.commit("The mistake fixed");
    site.deploy().says(&[&format!("migration {last}, irreversible")]);
    site.xtask("rollback").expect(21).says(&[&last, "cannot be undone"]);
    assert_eq!(site.status()["version"], site.checkout.version().as_str());
}

/// The service's process is killed: the supervisor restarts it, and waiting clients are served.
pub fn killed_service(site: &Site, visitor: &Visitor, thumbnail: &str) {
    let load = Load::begin(site, &visitor.token, thumbnail);
    let victim = site.service_pid();
    kill(victim);
    let mut client = Client::one_connection_each(site.port);
    until("the killed service is ready again", || {
        !is_alive(victim) && client.get("/api/health/readiness").is_ok_and(|answer| answer.status == 200)
    });
    let back = load.seen();
    site.note(&format!("the service was killed: {back}"));
    until("another 200 requests were answered", || load.seen().answers > back.answers + 200);
    let after = load.end();
    // Each client has at most one request in progress when the process dies. After the restart no request fails.
    assert!(after.failures.len() <= 8, "{:#?}", after.failures);
    assert_ne!(site.service_pid(), victim);
    site.xtask("status").expect(0).says(&["restarted once"]);
}

/// PostgreSQL is killed: the service reports it, and the next deploy restarts it.
pub fn killed_database(site: &Site) {
    let postmaster = processes::postmaster(&site.postgres().join("data"));
    assert!(is_alive(postmaster));
    kill(postmaster);
    let mut client = Client::new(site.port);
    let mut readiness = move || client.get("/api/health/readiness").unwrap();
    until("readiness reports that the database is unreachable", || readiness().status == 503);
    let said = readiness().json();
    assert_eq!(said["status"], "unready");
    let checks = said["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "database" && check["status"] != "ok"), "{said}");
    site.xtask("status").expect(31).says(&["unready; database:", "cargo xtask deploy local"]);

    site.deploy();
    assert_eq!(readiness().expect(200).json()["status"], "ready");
    assert_ne!(processes::postmaster(&site.postgres().join("data")), postmaster);
}

/// All commands that change nothing.
pub fn look_around(site: &Site) {
    let version = site.checkout.version();
    site.xtask("status local").expect(0).says(&["serves", &version, "ready", "serving, process"]);
    site.xtask("history local").expect(0).says(&["serves", "live", &version]);
    site.xtask("logs local -n 200").expect(0).says(&["listening", &version]);
    site.xtask("deploy --dry-run").expect(0).says(&["serves already", "nothing was changed"]);
    site.xtask("lock status").expect(0);
    site.xtask("doctor").expect(0);
}

/// Shortens the gate to three seconds.
fn short_gate(local: &mut serde_yaml::Value) {
    local["gate"] = serde_yaml::from_str("{ timeout: 3 }").unwrap();
}

/// Changes the service's program and commits it.
pub fn change_program(site: &Site) {
    site.checkout.edit(PROGRAM, "    app::main()", "    std::thread::yield_now();\n    app::main()");
    site.checkout.commit("A change of the program");
}

/// Changes a line of the service's library and commits it.
fn change_library(site: &Site) {
    site.checkout.edit(HEALTH, ALIVE, r#"status: "changed""#);
    site.checkout.commit("A change of the library");
}
