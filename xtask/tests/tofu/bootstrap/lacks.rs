//! What a service does not support is reported, and what it supports is set.

use super::*;

#[test]
fn what_another_s3_server_does_not_support_is_reported() {
    let Some(server) = or_skip("what_another_s3_server_does_not_support_is_reported", Versitygw::start()) else {
        return;
    };
    let fixture = Fixture::on("other", "us-east-1", &server.endpoint());
    let check = fixture.run(&["--check"]).expect(10);
    let shown = |ran: &Ran| ran.stdout.replace(&server.endpoint(), "http://SERVER");
    insta::assert_snapshot!("nothing", shown(&check));
    fixture.run(&["--yes"]).expect(0);
    insta::assert_snapshot!("own", shown(&fixture.run(&["--check"]).expect(0)));
    let again = fixture.result(&["--yes"], 0);
    assert_eq!(again["fixed"].as_array().unwrap().len(), 0);
}

#[test]
fn what_a_provider_does_not_support_is_reported() {
    for (provider, region) in [("scaleway", "fr-par"), ("r2", "auto")] {
        let Some(moto) = or_skip("what_a_provider_does_not_support_is_reported", Moto::turn()) else { return };
        let proxy = Proxy::start(&moto.endpoint(), unchanged);
        let fixture = Fixture::on(provider, region, &proxy.endpoint());
        if provider == "r2" {
            // moto cannot create a bucket in a region of that name.
            assert_eq!(ask(&moto.endpoint(), "PUT", "/states", &[], "").unwrap().status, 200);
        }
        fixture.run(&["--yes"]).expect(0);
        proxy.seen();
        let shown = fixture.run(&["--check"]).expect(0).stdout.replace(&proxy.endpoint(), "http://SERVER");
        insta::assert_snapshot!(provider, shown);
        // Unsupported settings are not requested.
        let asked: Vec<String> = proxy.seen().into_iter().map(|seen| seen.line).collect();
        for query in ["?publicAccessBlock", "?encryption", "?policy"] {
            assert!(!asked.iter().any(|line| line.contains(query)), "{provider} {query}: {asked:?}");
        }
    }
}

#[test]
fn requests_without_tls_are_refused_and_other_statements_stay() {
    let test = "requests_without_tls_are_refused_and_other_statements_stay";
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs_err::write(&certificate, made.cert.pem()).unwrap();
    fs_err::write(&key, made.signing_key.serialize_pem()).unwrap();
    let Some(server) = or_skip(test, Versitygw::start_secure(&certificate, &key)) else { return };
    let fixture = Fixture::on("other", "us-east-1", &server.endpoint());
    let run =
        |flags: &[&str], code: i32| Ran::of(fixture.command(flags).env("SSL_CERT_FILE", &certificate)).expect(code);
    // A client that does not know its certificate does not connect.
    fixture.run(&["--check"]).expect(1).says(&[&server.endpoint()]);
    run(&["--yes"], 0);
    let other = r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "Audit", "Effect": "Deny", "Principal": "*",
        "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::states" }] }"#;
    server.set_attribute("states", "policy", other.as_bytes());
    let check = run(&["--check"], 10);
    assert!(
        check.stdout.contains("requests      accepted without TLS; should be refused without TLS"),
        "{}",
        check.stdout
    );
    run(&["--yes"], 0);
    let policy: Value = serde_json::from_str(&server.attribute("states", "policy")).unwrap();
    let names: Vec<&Value> =
        policy["Statement"].as_array().unwrap().iter().map(|statement| &statement["Sid"]).collect();
    assert_eq!(names, ["Audit", "XtaskTlsOnly"]);
    run(&["--check"], 0);
}

#[test]
fn a_policy_that_locks_this_key_out_is_undone() {
    let test = "a_policy_that_locks_this_key_out_is_undone";
    // moto ignores conditions, and then refuses every request.
    let Some(moto) = or_skip(test, Moto::turn()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("certificate.pem");
    let proxy = Proxy::start_secure(&moto.endpoint(), &certificate);
    let fixture = Fixture::on("other", "us-east-1", &proxy.endpoint());
    let ran = Ran::of(fixture.command(&["--yes"]).env("SSL_CERT_FILE", &certificate)).expect(1);
    ran.says(&[
        "requests: add a statement to the policy",
        "the policy locked this key out, so the old policy was restored",
    ]);
    assert_eq!(ask(&moto.endpoint(), "GET", "/states?policy", &[], "").unwrap().status, 404);
    let other = r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "Audit", "Effect": "Deny", "Principal": "*",
        "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::states" }] }"#;
    assert_eq!(ask(&moto.endpoint(), "PUT", "/states?policy", &[], other).unwrap().status, 200);
    Ran::of(fixture.command(&["--yes"]).env("SSL_CERT_FILE", &certificate)).expect(1);
    let policy: Value =
        serde_json::from_str(&ask(&moto.endpoint(), "GET", "/states?policy", &[], "").unwrap().text()).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1, "{policy}");
}
