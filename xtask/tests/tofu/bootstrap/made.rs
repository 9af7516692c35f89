//! Creating the bucket, restoring changed settings, and a stack whose state is in it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::site::Site;
use devservers::proxy::round_trips;
use testkit::toolkit;

#[test]
fn from_nothing_to_a_bucket_with_all_that_amazon_has() {
    let Some(moto) = or_skip("from_nothing_to_a_bucket_with_all_that_amazon_has", Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let fixture = Fixture::on("aws", "eu-west-1", &proxy.endpoint());

    let check = fixture.result(&["--check"], 10);
    assert_eq!((verdict(&check, "bucket"), verdict(&check, "locking")), ("differs", "waits"));
    fixture.run(&[]).expect(21).says(&["nothing was changed", "cargo xtask bootstrap state production --yes"]);
    assert_eq!(changes(&proxy.seen()), [""; 0]);
    assert_eq!(ask(&moto.endpoint(), "GET", "/states?versioning", &[], "").unwrap().status, 404);

    let made = fixture.result(&["--yes"], 0);
    assert_eq!(made["good"], true);
    let mended = ["bucket", "encryption", "lifecycle", "old versions", "public access", "tags"];
    assert_eq!(made["fixed"].as_array().unwrap(), &mended.map(Value::from));
    let about: Vec<&str> =
        made["items"].as_array().unwrap().iter().map(|item| item["about"].as_str().unwrap()).collect();
    assert_eq!(about, ABOUT);
    for about in ABOUT {
        // The endpoint has no TLS here.
        assert_eq!(verdict(&made, about), if about == "requests" { "lacks" } else { "good" }, "{about}");
    }
    let is = |query: &str| ask(&moto.endpoint(), "GET", &format!("/states?{query}"), &[], "").unwrap().text();
    assert!(is("versioning").contains("<Status>Enabled</Status>"));
    assert_eq!(is("publicAccessBlock").matches("true").count(), 4);
    assert!(is("encryption").contains("AES256"));
    let lifecycle = is("lifecycle");
    for text in ["<NoncurrentDays>90<", "<DaysAfterInitiation>7<", "<ExpiredObjectDeleteMarker>true<"] {
        assert!(lifecycle.contains(text), "{text}: {lifecycle}");
    }
    assert!(is("tagging").contains("managed-by"));
    // Versions would show deleted objects, too.
    assert!(!is("versions").contains("probe"), "{}", is("versions"));

    proxy.seen();
    let again = fixture.result(&["--yes"], 0);
    assert_eq!((&again["good"], again["fixed"].as_array().unwrap().len()), (&Value::from(true), 0));
    assert_eq!(fixture.result(&["--check"], 0)["good"], true);
    fixture.run(&[]).expect(0);
    assert_eq!(changes(&proxy.seen()), [""; 0]);
    assert!(!is("versions").contains("probe"));
}

#[test]
fn at_a_terminal_the_user_is_asked() {
    let test = "at_a_terminal_the_user_is_asked";
    let Some(moto) = or_skip(test, Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let fixture = Fixture::on("aws", "us-east-1", &proxy.endpoint());
    let at_a_terminal = |answer: &str| {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command"]).current_dir(&fixture.project.root);
        script.arg(format!("{} bootstrap state production", toolkit().display())).arg("/dev/null");
        take_nothing_of_this_machine(script.env_remove("CI").env_remove("GITHUB_ACTIONS"));
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = at_a_terminal("n\n");
    assert_eq!(code, Some(21), "{said}");
    assert!(said.contains("Fix 1 item, then the 7 that wait? [y/N]"), "{said}");
    assert_eq!(changes(&proxy.seen()), [""; 0]);
    let (code, said) = at_a_terminal("y\n");
    assert_eq!(code, Some(0), "{said}");
    fixture.run(&["--check"]).expect(0);
}

#[test]
fn an_inspection_takes_five_round_trips_at_most() {
    let Some(moto) = or_skip("an_inspection_takes_five_round_trips_at_most", Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let fixture = Fixture::on("aws", "us-east-1", &proxy.endpoint());
    fixture.run(&["--yes"]).expect(0);
    proxy.seen();
    fixture.run(&["--check"]).expect(0);
    let seen = proxy.seen();
    assert!(seen.len() >= 12, "{seen:#?}");
    assert!(round_trips(&seen) <= 5, "{} of {seen:#?}", round_trips(&seen));
}

#[test]
fn settings_changed_by_hand_are_fixed_and_other_rules_stay() {
    let test = "settings_changed_by_hand_are_fixed_and_other_rules_stay";
    let Some(moto) = or_skip(test, Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let fixture = Fixture::on("aws", "us-east-1", &proxy.endpoint());
    fixture.run(&["--yes"]).expect(0);
    let by_hand = |method: &str, query: &str, body: &str| {
        let answer = ask(&moto.endpoint(), method, &format!("/states?{query}"), &[], body).unwrap();
        assert!(answer.status < 300, "{query}: {} {}", answer.status, answer.text());
        answer.text()
    };
    by_hand("PUT", "versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>");
    by_hand("DELETE", "publicAccessBlock", "");
    by_hand("DELETE", "encryption", "");
    let rule = "<LifecycleConfiguration><Rule><ID>logs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status>\
         <Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>";
    by_hand("PUT", "lifecycle", rule);
    let tags = "<Tagging><TagSet><Tag><Key>team</Key><Value>media</Value></Tag><Tag><Key>project</Key><Value>other</Value>\
         </Tag></TagSet></Tagging>";
    by_hand("PUT", "tagging", tags);

    let check = fixture.result(&["--check"], 10);
    for about in ["old versions", "public access", "encryption", "lifecycle", "tags"] {
        assert_eq!(verdict(&check, about), "differs", "{about}: {check:#}");
    }
    let shown = fixture.run(&["--check"]).expect(10);
    for text in ["not kept; should be kept", "project=other", "next: cargo xtask bootstrap state production"] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
    let mended = fixture.result(&["--yes"], 0);
    assert_eq!(mended["fixed"].as_array().unwrap().len(), 5);
    let lifecycle = by_hand("GET", "lifecycle", "");
    for id in ["<ID>logs</ID>", "<ID>xtask-old-versions</ID>", "<ID>xtask-unfinished-uploads</ID>"] {
        assert!(lifecycle.contains(id), "{id}: {lifecycle}");
    }
    let tags = by_hand("GET", "tagging", "");
    assert!(tags.contains("<Value>media</Value>") && tags.contains("<Value>fixture</Value>"), "{tags}");
    assert!(!tags.contains("<Value>other</Value>"), "{tags}");
    fixture.run(&["--check"]).expect(0);
}

#[test]
fn a_stack_works_on_the_bucket_and_its_state_stays() {
    let Some(site) = Site::open("a_stack_works_on_the_bucket_and_its_state_stays") else { return };
    let bucket = site.storage.bucket("states");
    fs_err::remove_dir_all(&bucket).unwrap();
    let bootstrap = |flags: &[&str], code| {
        Ran::of(&mut site.toolkit(&[&["bootstrap", "state", "production"], flags].concat())).expect(code)
    };
    bootstrap(&["--yes"], 0);
    site.change();
    let state = fs_err::read(site.state()).unwrap();
    let check = bootstrap(&["--check"], 0);
    assert!(check.stdout.contains("one state"), "{}", check.stdout);
    bootstrap(&["--yes"], 0);
    assert_eq!(fs_err::read(site.state()).unwrap(), state);
    site.run(&["plan", "production"]).expect(0);
}
