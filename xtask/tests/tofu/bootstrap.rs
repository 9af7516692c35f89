//! The bucket of a state, from nothing to what it should be and back: on Amazon's services as moto plays them, which know
//! every setting, and on a server of one's own, which knows few but looks at signatures.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Project, Ran, Running, TOOLKIT, skipped};
use crate::moto::Moto;
use crate::proxy::{Proxy, Seen, ask, round_trips};
use crate::site::{Site, result, take_nothing_of_this_machine};
use crate::versitygw::{ACCESS_KEY, SECRET_KEY, Versitygw};

/// The items of a bucket that is as it should be, in their order.
const ABOUT: [&str; 9] =
    ["bucket", "objects", "locking", "old versions", "public access", "encryption", "requests", "lifecycle", "tags"];

/// A project whose environment `production` has its state in the bucket `states`, which need not be there.
struct Ground {
    project: Project,
}

impl Ground {
    fn on(provider: &str, region: &str, endpoint: &str) -> Self {
        let project = Project::of("fixture", |project| {
            let deploy = project.read("deploy.yaml");
            let production = format!(
                "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    stack: infra\n    \
                 state: {{ bucket: states, region: {region}, provider: {provider}, endpoint: '{endpoint}' }}\n"
            );
            project.write("deploy.yaml", &format!("{deploy}{production}"));
            project.write("infra/main.tf", "terraform {\n  backend \"s3\" {}\n}\n");
            keys(project, SECRET_KEY);
        });
        Self { project }
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.project.command(&[&["bootstrap", "state", "production"], flags].concat());
        take_nothing_of_this_machine(&mut command);
        command
    }

    fn run(&self, flags: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(flags));
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sentinel"), "{ran:?}");
        ran
    }

    /// The answer, as programs get it.
    #[track_caller]
    fn result(&self, flags: &[&str], code: i32) -> Value {
        let ended = Running::start(self.command(flags).arg("--json")).end().expect(code);
        assert!(!format!("{}{:?}", ended.stderr, ended.events).contains("sentinel"), "{ended:?}");
        result(ended)
    }
}

/// What is found of an item.
#[track_caller]
fn verdict<'a>(result: &'a Value, about: &str) -> &'a str {
    let items = result["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["about"] == about);
    item.unwrap_or_else(|| panic!("there is no {about}: {result:#}"))["verdict"].as_str().unwrap()
}

fn keys(project: &Project, secret: &str) {
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create(true).truncate(true).mode(0o600).open(project.root.join(".env.production"));
    let text = format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={secret}\n");
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn or_skip<T>(test: &str, server: Result<T, String>) -> Option<T> {
    server
        .map_err(|why| {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            skipped(test, &why);
        })
        .ok()
}

/// Requests that change something, but for those of the proof.
fn changes(seen: &[Seen]) -> Vec<&str> {
    let lines = seen.iter().map(|seen| seen.line.as_str());
    let is_proof = |line: &str| line.contains(".xtask/probe-") || line.contains("?delete");
    lines.filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD ") && !is_proof(line)).collect()
}

fn unchanged(_: &str) -> bool {
    true
}

#[test]
fn from_nothing_to_a_bucket_with_all_that_amazon_has() {
    let Some(moto) = or_skip("from_nothing_to_a_bucket_with_all_that_amazon_has", Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = Ground::on("aws", "eu-west-1", &proxy.endpoint());

    let check = ground.result(&["--check"], 10);
    assert_eq!((verdict(&check, "bucket"), verdict(&check, "locking")), ("differs", "waits"));
    ground.run(&[]).expect(21).says(&["nothing was changed", "cargo xtask bootstrap state production --yes"]);
    assert_eq!(changes(&proxy.seen()), [""; 0]);
    assert_eq!(ask(&moto.endpoint(), "GET", "/states?versioning", &[], "").0, 404);

    let made = ground.result(&["--yes"], 0);
    assert_eq!(made["good"], true);
    let mended = ["bucket", "encryption", "lifecycle", "old versions", "public access", "tags"];
    assert_eq!(made["mended"].as_array().unwrap(), &mended.map(Value::from));
    let about: Vec<&str> =
        made["items"].as_array().unwrap().iter().map(|item| item["about"].as_str().unwrap()).collect();
    assert_eq!(about, ABOUT);
    for about in ABOUT {
        // It is asked without TLS here, where nobody would get in.
        assert_eq!(verdict(&made, about), if about == "requests" { "lacks" } else { "good" }, "{about}");
    }
    let is = |query: &str| ask(&moto.endpoint(), "GET", &format!("/states?{query}"), &[], "").1;
    assert!(is("versioning").contains("<Status>Enabled</Status>"));
    assert_eq!(is("publicAccessBlock").matches("true").count(), 4);
    assert!(is("encryption").contains("AES256"));
    let lifecycle = is("lifecycle");
    for text in ["<NoncurrentDays>90<", "<DaysAfterInitiation>7<", "<ExpiredObjectDeleteMarker>true<"] {
        assert!(lifecycle.contains(text), "{text}: {lifecycle}");
    }
    assert!(is("tagging").contains("managed-by"));
    // Versions would tell of what was deleted, too.
    assert!(!is("versions").contains("probe"), "{}", is("versions"));

    proxy.seen();
    let again = ground.result(&["--yes"], 0);
    assert_eq!((&again["good"], again["mended"].as_array().unwrap().len()), (&Value::from(true), 0));
    assert_eq!(ground.result(&["--check"], 0)["good"], true);
    ground.run(&[]).expect(0);
    assert_eq!(changes(&proxy.seen()), [""; 0]);
    assert!(!is("versions").contains("probe"));
}

#[test]
fn whoever_sits_at_a_terminal_is_asked() {
    let test = "whoever_sits_at_a_terminal_is_asked";
    let Some(moto) = or_skip(test, Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = Ground::on("aws", "us-east-1", &proxy.endpoint());
    let at_a_terminal = |answer: &str| {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command"]).current_dir(&ground.project.root);
        script.arg(format!("{TOOLKIT} bootstrap state production")).arg("/dev/null");
        take_nothing_of_this_machine(script.env_remove("CI").env_remove("GITHUB_ACTIONS"));
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = at_a_terminal("n\n");
    assert_eq!(code, Some(21), "{said}");
    assert!(said.contains("Mend 1, then the 7 that wait? [y/N]"), "{said}");
    assert_eq!(changes(&proxy.seen()), [""; 0]);
    let (code, said) = at_a_terminal("y\n");
    assert_eq!(code, Some(0), "{said}");
    ground.run(&["--check"]).expect(0);
}

#[test]
fn a_look_takes_five_round_trips_at_most() {
    let Some(moto) = or_skip("a_look_takes_five_round_trips_at_most", Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = Ground::on("aws", "us-east-1", &proxy.endpoint());
    ground.run(&["--yes"]).expect(0);
    proxy.seen();
    ground.run(&["--check"]).expect(0);
    let seen = proxy.seen();
    assert!(seen.len() >= 12, "{seen:#?}");
    assert!(round_trips(&seen) <= 5, "{} of {seen:#?}", round_trips(&seen));
}

#[test]
fn what_was_changed_by_hand_is_seen_and_mended_and_other_peoples_rules_stay() {
    let test = "what_was_changed_by_hand_is_seen_and_mended_and_other_peoples_rules_stay";
    let Some(moto) = or_skip(test, Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = Ground::on("aws", "us-east-1", &proxy.endpoint());
    ground.run(&["--yes"]).expect(0);
    let by_hand = |method: &str, query: &str, body: &str| {
        let (status, answer) = ask(&moto.endpoint(), method, &format!("/states?{query}"), &[], body);
        assert!(status < 300, "{query}: {status} {answer}");
        answer
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

    let check = ground.result(&["--check"], 10);
    for about in ["old versions", "public access", "encryption", "lifecycle", "tags"] {
        assert_eq!(verdict(&check, about), "differs", "{about}: {check:#}");
    }
    let shown = ground.run(&["--check"]).expect(10);
    for text in ["not kept; should be kept", "project=other", "next: cargo xtask bootstrap state production"] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
    let mended = ground.result(&["--yes"], 0);
    assert_eq!(mended["mended"].as_array().unwrap().len(), 5);
    let lifecycle = by_hand("GET", "lifecycle", "");
    for id in ["<ID>logs</ID>", "<ID>xtask-old-versions</ID>", "<ID>xtask-unfinished-uploads</ID>"] {
        assert!(lifecycle.contains(id), "{id}: {lifecycle}");
    }
    let tags = by_hand("GET", "tagging", "");
    assert!(tags.contains("<Value>media</Value>") && tags.contains("<Value>fixture</Value>"), "{tags}");
    assert!(!tags.contains("<Value>other</Value>"), "{tags}");
    ground.run(&["--check"]).expect(0);
}

#[test]
fn a_bucket_of_somebody_else_elsewhere_or_for_something_else_is_not_touched() {
    let test = "a_bucket_of_somebody_else_elsewhere_or_for_something_else_is_not_touched";
    let Some(moto) = or_skip(test, Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = |region: &str, bucket: &str| {
        let ground = Ground::on("aws", region, &proxy.endpoint());
        ground.project.edit("deploy.yaml", "bucket: states", &format!("bucket: {bucket}"));
        ground
    };
    let make = |bucket: &str, headers: &[(&str, &str)], body: &str| {
        let (status, answer) = ask(&moto.endpoint(), "PUT", &format!("/{bucket}"), headers, body);
        assert_eq!(status, 200, "{answer}");
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
    let Some(moto) = or_skip("where_conditional_writes_are_not_heeded_nothing_goes_on", Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), |header| !header.starts_with("if-none-match"));
    let ground = Ground::on("other", "us-east-1", &proxy.endpoint());
    let ran = ground.run(&["--yes"]).expect(21);
    ran.says(&["locking", "the second of two conditional writes was not refused", "two applies at once"]);
    let seen = proxy.seen();
    // The bucket is there, and nothing else was done to it.
    assert_eq!(changes(&seen), ["PUT /states/"]);
    assert!(!ask(&moto.endpoint(), "GET", "/states?versions", &[], "").1.contains("probe"));
    ground.run(&["--check"]).expect(21);
    assert!(!ask(&moto.endpoint(), "GET", "/states?versions", &[], "").1.contains("probe"));
}

#[test]
fn a_proof_that_was_left_behind_is_in_nobodys_way() {
    let Some(moto) = or_skip("a_proof_that_was_left_behind_is_in_nobodys_way", Moto::start()) else { return };
    let proxy = Proxy::start(&moto.endpoint(), unchanged);
    let ground = Ground::on("aws", "us-east-1", &proxy.endpoint());
    ground.run(&["--yes"]).expect(0);
    let now = jiff::Timestamp::now().as_millisecond();
    let (old, young) = (format!(".xtask/probe-{}-0a", now - 7_200_000), format!(".xtask/probe-{now}-0b"));
    for key in [&old, &young] {
        assert_eq!(ask(&moto.endpoint(), "PUT", &format!("/states/{key}"), &[], "").0, 200);
    }
    ground.run(&["--check"]).expect(0);
    let listed = ask(&moto.endpoint(), "GET", "/states?list-type=2", &[], "").1;
    // The young one may be of somebody who is at it.
    assert!(!listed.contains(&old) && listed.contains(&young), "{listed}");
}

#[test]
fn what_a_server_of_ones_own_lacks_is_said() {
    let Some(server) = or_skip("what_a_server_of_ones_own_lacks_is_said", Versitygw::start()) else { return };
    let ground = Ground::on("other", "us-east-1", &server.endpoint());
    let check = ground.run(&["--check"]).expect(10);
    let shown = |ran: &Ran| ran.stdout.replace(&server.endpoint(), "http://SERVER");
    insta::assert_snapshot!("nothing", shown(&check));
    ground.run(&["--yes"]).expect(0);
    insta::assert_snapshot!("own", shown(&ground.run(&["--check"]).expect(0)));
    let again = ground.result(&["--yes"], 0);
    assert_eq!(again["mended"].as_array().unwrap().len(), 0);
}

#[test]
fn what_providers_are_known_to_lack_is_said() {
    for (provider, region) in [("scaleway", "fr-par"), ("r2", "auto")] {
        let Some(moto) = or_skip("what_providers_are_known_to_lack_is_said", Moto::start()) else { return };
        let proxy = Proxy::start(&moto.endpoint(), unchanged);
        let ground = Ground::on(provider, region, &proxy.endpoint());
        if provider == "r2" {
            // moto has no region of that name to make a bucket in.
            assert_eq!(ask(&moto.endpoint(), "PUT", "/states", &[], "").0, 200);
        }
        ground.run(&["--yes"]).expect(0);
        proxy.seen();
        let shown = ground.run(&["--check"]).expect(0).stdout.replace(&proxy.endpoint(), "http://SERVER");
        insta::assert_snapshot!(provider, shown);
        // What they would refuse is not asked for.
        let asked: Vec<String> = proxy.seen().into_iter().map(|seen| seen.line).collect();
        for query in ["?publicAccessBlock", "?encryption", "?policy"] {
            assert!(!asked.iter().any(|line| line.contains(query)), "{provider} {query}: {asked:?}");
        }
    }
}

#[test]
fn requests_without_tls_are_refused_and_other_peoples_statements_stay() {
    let test = "requests_without_tls_are_refused_and_other_peoples_statements_stay";
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs_err::write(&certificate, made.cert.pem()).unwrap();
    fs_err::write(&key, made.signing_key.serialize_pem()).unwrap();
    let Some(server) = or_skip(test, Versitygw::secure(&certificate, &key)) else { return };
    let ground = Ground::on("other", "us-east-1", &server.endpoint());
    let run =
        |flags: &[&str], code: i32| Ran::of(ground.command(flags).env("SSL_CERT_FILE", &certificate)).expect(code);
    // Who does not know its certificate does not talk to it.
    ground.run(&["--check"]).expect(1).says(&[&server.endpoint()]);
    run(&["--yes"], 0);
    let other = r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "Audit", "Effect": "Deny", "Principal": "*",
        "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::states" }] }"#;
    server.set_attribute("states", "policy", other.as_bytes());
    let check = run(&["--check"], 10);
    assert!(
        check.stdout.contains("requests      taken without TLS; should be refused without TLS"),
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
