//! Buckets that are refused, and services whose locks do not work.

use super::*;

#[test]
fn a_bucket_of_another_account_region_or_purpose_is_not_touched() {
    let test = "a_bucket_of_another_account_region_or_purpose_is_not_touched";
    let Some(moto) = or_skip(test, Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let fixture = |region: &str, bucket: &str| {
        let fixture = Fixture::on("aws", region, &proxy.endpoint());
        fixture.project.edit("deploy.yaml", "bucket: states", &format!("bucket: {bucket}"));
        fixture
    };
    let make = |bucket: &str, headers: &[(&str, &str)], body: &str| {
        let answer = ask(&moto.endpoint(), "PUT", &format!("/{bucket}"), headers, body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    make("others", &[("x-moto-account-id", "222222222222")], "");
    make(
        "elsewhere",
        &[],
        "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>",
    );
    make("pictures", &[], "");
    make("pictures/holiday.jpg", &[], "a picture");
    for (bucket, says) in
        [("others", "another account's"), ("elsewhere", "in eu-north-1"), ("pictures", "objects: holiday.jpg")]
    {
        for flags in [&["--check"][..], &[], &["--yes"]] {
            let ran = fixture("us-east-1", bucket).run(flags).expect(21);
            ran.says(&[says, "does not touch it", "in deploy.yaml"]);
        }
    }
    let seen = proxy.seen();
    let probes = seen.iter().filter(|seen| seen.line.contains("probe") || seen.line.starts_with("POST ")).count();
    assert_eq!((changes(&seen), probes), (vec![], 0));
}

#[test]
fn a_bucket_is_there_after_what_is_said_was_typed() {
    let test = "a_bucket_is_there_after_what_is_said_was_typed";
    let Some(server) = or_skip(test, Versitygw::start()) else { return };
    let fixture = Fixture::on("other", "us-east-1", &server.endpoint());
    let type_it = |said: &Ran, mark: &str| said.type_it(mark, &fixture.command(&[]));
    let differs = fixture.run(&["--check"]).expect(10);
    let asks = type_it(&differs, "next: ").expect(21);
    type_it(&asks, "type: ").expect(0);
    fixture.run(&["--check"]).expect(0);
}

#[test]
fn a_service_that_ignores_conditional_writes_is_refused() {
    let Some(moto) = or_skip("a_service_that_ignores_conditional_writes_is_refused", Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), |header| !header.starts_with("if-none-match"));
    let fixture = Fixture::on("other", "us-east-1", &proxy.endpoint());
    let ran = fixture.run(&["--yes"]).expect(21);
    ran.says(&["locking", "the second of two conditional writes was not refused", "two applies at the same time"]);
    let seen = proxy.seen();
    // The bucket was created, and nothing else.
    assert_eq!(changes(&seen), ["PUT /states/"]);
    assert!(!ask(&moto.endpoint(), "GET", "/states?versions", &[], "").unwrap().text().contains("probe"));
    fixture.run(&["--check"]).expect(21);
    assert!(!ask(&moto.endpoint(), "GET", "/states?versions", &[], "").unwrap().text().contains("probe"));
}

#[test]
fn leftover_probes_are_deleted() {
    let Some(moto) = or_skip("leftover_probes_are_deleted", Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let fixture = Fixture::on("aws", "us-east-1", &proxy.endpoint());
    fixture.run(&["--yes"]).expect(0);
    let now = jiff::Timestamp::now().as_millisecond();
    let (old, young) = (format!(".xtask/probe-{}-0a", now - 7_200_000), format!(".xtask/probe-{now}-0b"));
    for key in [&old, &young] {
        assert_eq!(ask(&moto.endpoint(), "PUT", &format!("/states/{key}"), &[], "").unwrap().status, 200);
    }
    fixture.run(&["--check"]).expect(0);
    let listed = ask(&moto.endpoint(), "GET", "/states?list-type=2", &[], "").unwrap().text();
    // The recent one may belong to a running probe.
    assert!(!listed.contains(&old) && listed.contains(&young), "{listed}");
}

#[test]
fn a_service_that_does_not_release_locks_is_refused() {
    let test = "a_service_that_does_not_release_locks_is_refused";
    let Some(server) = or_skip(test, Versitygw::start()) else { return };
    let fixture = Fixture::on("other", "us-east-1", &server.endpoint());
    fixture.run(&["--yes"]).expect(0);
    // With versioning on, versitygw does not release locks.
    server.set_attribute("states", "versioning", &[1]);
    fixture.run(&["--check"]).expect(21).says(&["a released lock cannot be taken again", "use another service"]);
    assert_eq!(server.attribute("states", "versioning"), "\u{1}");
    let left: Vec<_> = fs_err::read_dir(server.bucket("states").join(".xtask")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_wrong_or_missing_key_and_an_unreachable_server_are_named() {
    let test = "a_wrong_or_missing_key_and_an_unreachable_server_are_named";
    let Some(mut server) = or_skip(test, Versitygw::start()) else { return };
    let fixture = Fixture::on("other", "us-east-1", &server.endpoint());
    keys(&fixture.project, "sentinel-wrong-key");
    let named = ["AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ".env.production"];
    fixture.run(&["--check"]).expect(1).says(&["SignatureDoesNotMatch", "states"]).says(&named);
    fs_err::remove_file(fixture.project.root.join(".env.production")).unwrap();
    fixture.run(&["--yes"]).expect(21).says(&["none is set"]).says(&named);
    keys(&fixture.project, SECRET_KEY);
    server.pause();
    fixture.run(&["--yes"]).expect(1).says(&["states", "onnection refused", &server.endpoint()]);
    server.go_on().unwrap();
    // The server's only region is us-east-1.
    fixture.project.edit("deploy.yaml", "region: us-east-1", "region: fr-par");
    fixture.run(&["--yes"]).expect(21).says(&["in another region", "us-east-1"]);
}
