//! What is not touched, and where nothing goes on.

use super::*;

#[test]
fn a_bucket_of_somebody_else_elsewhere_or_for_something_else_is_not_touched() {
    let test = "a_bucket_of_somebody_else_elsewhere_or_for_something_else_is_not_touched";
    let Some(moto) = or_skip(test, Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = |region: &str, bucket: &str| {
        let ground = Ground::on("aws", region, &proxy.endpoint());
        ground.project.edit("deploy.yaml", "bucket: states", &format!("bucket: {bucket}"));
        ground
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
    for (bucket, says) in [
        ("others", "somebody else's"),
        ("elsewhere", "in eu-north-1"),
        ("pictures", "objects is no states: holiday.jpg"),
    ] {
        for flags in [&["--check"][..], &[], &["--yes"]] {
            let ran = ground("us-east-1", bucket).run(flags).expect(21);
            ran.says(&[says, "is not touched", "in deploy.yaml"]);
        }
    }
    let seen = proxy.seen();
    let proofs = seen.iter().filter(|seen| seen.line.contains("probe") || seen.line.starts_with("POST ")).count();
    assert_eq!((changes(&seen), proofs), (vec![], 0));
}

#[test]
fn where_conditional_writes_are_not_heeded_nothing_goes_on() {
    let Some(moto) = or_skip("where_conditional_writes_are_not_heeded_nothing_goes_on", Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), |header| !header.starts_with("if-none-match"));
    let ground = Ground::on("other", "us-east-1", &proxy.endpoint());
    let ran = ground.run(&["--yes"]).expect(21);
    ran.says(&["locking", "the second of two conditional writes was not refused", "two applies at once"]);
    let seen = proxy.seen();
    // The bucket is there, and nothing else was done to it.
    assert_eq!(changes(&seen), ["PUT /states/"]);
    assert!(!ask(&moto.endpoint(), "GET", "/states?versions", &[], "").unwrap().text().contains("probe"));
    ground.run(&["--check"]).expect(21);
    assert!(!ask(&moto.endpoint(), "GET", "/states?versions", &[], "").unwrap().text().contains("probe"));
}

#[test]
fn a_proof_that_was_left_behind_is_in_nobodys_way() {
    let Some(moto) = or_skip("a_proof_that_was_left_behind_is_in_nobodys_way", Moto::turn()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = Ground::on("aws", "us-east-1", &proxy.endpoint());
    ground.run(&["--yes"]).expect(0);
    let now = jiff::Timestamp::now().as_millisecond();
    let (old, young) = (format!(".xtask/probe-{}-0a", now - 7_200_000), format!(".xtask/probe-{now}-0b"));
    for key in [&old, &young] {
        assert_eq!(ask(&moto.endpoint(), "PUT", &format!("/states/{key}"), &[], "").unwrap().status, 200);
    }
    ground.run(&["--check"]).expect(0);
    let listed = ask(&moto.endpoint(), "GET", "/states?list-type=2", &[], "").unwrap().text();
    // The young one may be of somebody who is at it.
    assert!(!listed.contains(&old) && listed.contains(&young), "{listed}");
}

#[test]
fn where_a_freed_lock_is_not_free_again_nothing_goes_on() {
    let test = "where_a_freed_lock_is_not_free_again_nothing_goes_on";
    let Some(server) = or_skip(test, Versitygw::start()) else { return };
    let ground = Ground::on("other", "us-east-1", &server.endpoint());
    ground.run(&["--yes"]).expect(0);
    // That it keeps old versions, which it does not do well.
    server.set_attribute("states", "versioning", &[1]);
    ground.run(&["--check"]).expect(21).says(&["a lock that was freed is not free again", "take another service"]);
    assert_eq!(server.attribute("states", "versioning"), "\u{1}");
    let left: Vec<_> = fs_err::read_dir(server.bucket("states").join(".xtask")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_key_that_is_wrong_or_missing_and_a_server_that_is_away_are_named() {
    let test = "a_key_that_is_wrong_or_missing_and_a_server_that_is_away_are_named";
    let Some(mut server) = or_skip(test, Versitygw::start()) else { return };
    let ground = Ground::on("other", "us-east-1", &server.endpoint());
    keys(&ground.project, "sentinel-wrong-key");
    let named = ["AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ".env.production"];
    ground.run(&["--check"]).expect(1).says(&["SignatureDoesNotMatch", "states"]).says(&named);
    fs_err::remove_file(ground.project.root.join(".env.production")).unwrap();
    ground.run(&["--yes"]).expect(21).says(&["there is none"]).says(&named);
    keys(&ground.project, SECRET_KEY);
    server.pause();
    ground.run(&["--yes"]).expect(1).says(&["states", "onnection refused", &server.endpoint()]);
    server.go_on();
    // Its only region is another one: requests are signed for theirs.
    ground.project.edit("deploy.yaml", "region: us-east-1", "region: fr-par");
    ground.run(&["--yes"]).expect(21).says(&["in another region", "us-east-1"]);
}
