//! The journey of a new user: a fresh clone, one command, and then the whole life of a release, with real processes, a
//! real database and clients that use the service. Four times: as root and as an ordinary user, with the PostgreSQL of
//! this machine and with the embedded one.
//!
//! The first scenario that runs compiles everything in its clone, as a new user does. The others wait for its first deploy and
//! begin with a copy of that build.

// Test helpers panic, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod checkout;
mod gallery;
mod load;
mod operations;
mod person;
mod processes;
mod readme;
mod sentinel;
mod site;
mod workshop;

use std::io::Write as _;

use crate::gallery::{Picture, Visitor};
use crate::operations as operate;
use crate::person::Person;
use crate::sentinel::Sentinel;
use crate::site::Site;

/// All operations, as root.
#[test]
fn a_root_with_found_postgresql_goes_the_whole_way() {
    const NAME: &str = "a_root_with_found_postgresql_goes_the_whole_way";
    let Some(person) = or_skip(NAME, Person::root()) else { return };
    let sentinel = Sentinel::begin();
    let site = Site::new(NAME, person, "root", "found");
    operate::first_deploy(&site);

    let mut visitor = Visitor::sign_up(&site);
    let signed_up = visitor.token.clone();
    let (photograph, other) = (Picture::photograph(), Picture::generated(900, 1600));
    let mut visitor = {
        let media = visitor.upload(&other);
        visitor.look_at(&media, &other);
        visitor.delete(&media);
        visitor.is_refused_too_large();
        Visitor::log_in(&site)
    };
    let media = visitor.upload(&photograph);
    visitor.look_at(&media, &photograph);
    let thumbnail = media["thumbnail_url"].as_str().unwrap();

    operate::deploy_under_load(&site, &visitor, thumbnail);
    operate::broken_versions(&site, &visitor, thumbnail);
    operate::migrations(&site);
    operate::killed_service(&site, &visitor, thumbnail);
    operate::killed_database(&site);
    operate::look_around(&site);

    site.stop().says(&["stopped: the service, PostgreSQL"]);
    site.xtask("status").expect(31).says(&["no release of local runs", "cargo xtask deploy local"]);
    site.xtask("stop").expect(0).says(&["nothing was running"]);
    site.deploy();
    let mut again = Visitor::log_in(&site);
    again.look_at(&media, &photograph);
    site.stop();
    sentinel.check(&site, &[signed_up, visitor.token, again.token]);
}

/// The clone is in a folder that only root may enter, like root's home. PostgreSQL's user cannot.
#[test]
fn b_root_with_embedded_postgresql_in_a_closed_folder() {
    const NAME: &str = "b_root_with_embedded_postgresql_in_a_closed_folder";
    let Some(person) = or_skip(NAME, Person::root()) else { return };
    let closed = workshop::Workshop::of_this_run().folder.join("closed");
    fs_err::create_dir_all(&closed).unwrap();
    fs_err::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    short_way(&Site::new(NAME, person, "closed", "embedded"), |site, _| Visitor::sign_up(site));
}

/// The clone's path is too long for Unix sockets below it.
#[test]
fn c_ordinary_user_with_found_postgresql_under_a_long_path() {
    const NAME: &str = "c_ordinary_user_with_found_postgresql_under_a_long_path";
    let Some(person) = or_skip(NAME, Person::ordinary()) else { return };
    short_way(&Site::new(NAME, person, &format!("long/{}", "deep-down-".repeat(12)), "found"), |site, _| {
        Visitor::sign_up(site)
    });
}

/// The README's commands create the first account.
#[test]
fn d_ordinary_user_with_embedded_postgresql() {
    const NAME: &str = "d_ordinary_user_with_embedded_postgresql";
    let Some(person) = or_skip(NAME, Person::ordinary()) else { return };
    short_way(&Site::new(NAME, person, "ordinary", "embedded"), |site, photograph| {
        readme::first_visit(site, photograph.bytes());
        Visitor::log_in(site)
    });
}

/// Deploy, use, change, roll back, stop and deploy again: no data is lost and no secret is disclosed.
fn short_way(site: &Site, sign_up: impl FnOnce(&Site, &Picture) -> Visitor) {
    let photograph = Picture::photograph();
    operate::first_deploy(site);
    let first = site.checkout.version();
    let mut visitor = sign_up(site, &photograph);
    // The README passes a secret to curl as an argument. The toolkit never does.
    let sentinel = Sentinel::begin();
    let media = visitor.upload(&photograph);
    visitor.look_at(&media, &photograph);

    operate::change_program(site);
    site.deploy();
    site.xtask("rollback").expect(0).says(&[&first]);
    site.stop().says(&["stopped: the service, PostgreSQL"]);
    site.deploy();
    let mut again = Visitor::log_in(site);
    again.look_at(&media, &photograph);
    site.stop();
    sentinel.check(site, &[visitor.token, again.token]);
}

/// Reports a scenario that this machine cannot run. `cargo xtask test` counts these lines.
fn or_skip(name: &str, person: Result<Person, String>) -> Option<Person> {
    let linux = if cfg!(target_os = "linux") { person } else { Err("takes Linux's /proc".to_owned()) };
    linux.map_err(|why| writeln!(std::io::stderr(), "SKIPPED {name}: {why}")).ok()
}
