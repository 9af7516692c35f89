//! The lifecycle of each of this repository's stacks: created, unchanged, changed, protected, drifted, deleted.

use serde_json::{Value, json};

use crate::site::Site;
use crate::storage::Storage;
use devservers::Versitygw;
use devservers::moto::Turn;
use testkit::Ran;

/// The differences between the stacks.
struct Life {
    stack: &'static str,
    /// The number of its resources.
    makes: usize,
    /// How many of them are OpenTofu's own.
    own: usize,
    /// An edit of deploy.yaml, and the only resource and attribute that it changes.
    change: [&'static str; 2],
    changed: (&'static str, &'static str),
    /// An edit of deploy.yaml that would replace a resource with data, and the attribute that causes it.
    harm: [&'static str; 2],
    harmed: (&'static str, &'static str),
    /// A change outside of OpenTofu: the type, its only resource, the attribute and its new value.
    drift: (&'static str, &'static str, &'static str, Value),
    /// The resources whose deletion is refused first: others are only checked when these are no longer protected.
    kept: &'static [&'static str],
}

fn scaleway() -> Life {
    Life {
        stack: "scaleway",
        makes: 13,
        own: 0,
        change: ["      project: meemi\n", "      project: meemi\n      min_scale: 1\n"],
        changed: ("scaleway_container.service", "min_scale"),
        harm: ["bucket: meemit-media", "bucket: another-media"],
        harmed: ("scaleway_object_bucket.media", "name"),
        drift: ("scaleway_container", "scaleway_container.service", "privacy", json!("private")),
        kept: &["scaleway_object_bucket.media", "scaleway_registry_namespace.images"],
    }
}

#[test]
fn scaleway_with_its_state_in_versitygw() {
    let test = "scaleway_with_its_state_in_versitygw";
    let Some(site) = live::<Versitygw>(test, &scaleway()) else { return };
    assert!(site.state().exists() && !site.lock().exists());
}

#[test]
fn scaleway_with_its_state_in_moto() {
    live::<Turn>("scaleway_with_its_state_in_moto", &scaleway());
}

#[test]
fn aws() {
    live::<Versitygw>(
        "aws",
        &Life {
            stack: "aws",
            makes: 24,
            own: 0,
            change: ["      project: meemi\n", "      project: meemi\n      visibility_seconds: 300\n"],
            changed: ("aws_sqs_queue.uploads", "visibility_timeout_seconds"),
            harm: ["bucket: meemit-media", "bucket: another-media"],
            harmed: ("aws_s3_bucket.media", "bucket"),
            drift: (
                "aws_cloudfront_origin_access_control",
                "aws_cloudfront_origin_access_control.media",
                "signing_behavior",
                json!("never"),
            ),
            kept: &["aws_s3_bucket.media", "aws_sqs_queue.uploads"],
        },
    );
}

#[test]
fn r2() {
    live::<Versitygw>(
        "r2",
        &Life {
            stack: "r2",
            makes: 5,
            own: 1,
            change: ["https://media.example.org", "https://www.example.org"],
            changed: ("cloudflare_r2_bucket_cors.media", "rules"),
            harm: ["bucket: meemit-media", "bucket: another-media"],
            harmed: ("cloudflare_r2_bucket.media", "name"),
            drift: ("cloudflare_r2_bucket", "cloudflare_r2_bucket.media", "storage_class", json!("InfrequentAccess")),
            kept: &["cloudflare_r2_bucket.media"],
        },
    );
}

fn live<S: Storage>(test: &str, life: &Life) -> Option<Site<S>> {
    let site = crate::stacks::site::<S>(test, life.stack)?;
    let cloud = site.cloud.as_ref().unwrap();
    site.run(&["validate", "production"]).expect(0);
    site.run(&["init", "production"]).expect(0);

    let plan = site.result(&["plan", "production"], 10);
    assert_eq!((&plan["counts"], &plan["refused"]), (&json!({ "create": life.makes }), &json!([])), "{plan:#}");
    assert_eq!(cloud.count(), 0, "a plan makes nothing");
    let applied = site.result(&["apply", "production", "--approve", plan["approval"].as_str().unwrap()], 0);
    assert_eq!((&applied["created"], &applied["errored"]), (&json!(life.makes), &json!([])));
    assert_eq!(cloud.count(), life.makes - life.own);
    assert_eq!(site.result(&["output", "production"], 0)["outputs"]["bucket"], "meemit-media");
    let nothing = site.result(&["plan", "production"], 0);
    assert_eq!((&nothing["unchanged"], &nothing["drift"]), (&json!(life.makes), &json!([])), "{nothing:#}");

    changed(&site, life);
    protected(&site, life);
    drifted(&site, life);
    ended(&site, life);
    Some(site)
}

/// A plan shows the change and nothing else.
fn changed<S>(site: &Site<S>, life: &Life) {
    let (address, attribute) = life.changed;
    site.project.edit("deploy.yaml", life.change[0], life.change[1]);
    site.project.commit("A change");
    let page = site.project.root.join("page.md");
    let plan = site.result(&["plan", "production", "--markdown", page.to_str().unwrap()], 10);
    let kind = address.split('.').next().unwrap();
    assert_eq!(
        plan["changes"],
        json!([{ "address": address, "type": kind, "action": "update", "attributes": [attribute] }]),
        "{plan:#}"
    );
    let rest = life.makes - 1;
    let told = ["counts", "unchanged", "drift", "outputs", "refused"].map(|name| &plan[name]);
    assert_eq!(json!(told), json!([{ "update": 1 }, rest, [], {}, []]), "{plan:#}");
    let page = fs_err::read_to_string(page).unwrap();
    let guarded = if life.kept.contains(&address) { "protected; " } else { "" };
    let begins = format!(
        "### production: 1 to update; {rest} unchanged\n\n```text\n~ update   {address}  {guarded}{attribute}\n```\n"
    );
    assert!(page.starts_with(&begins), "{page}");
    site.change();
    site.run(&["plan", "production"]).expect(0);
}

/// A plan that would replace a resource with data names it and the attribute, and cannot be applied.
fn protected<S>(site: &Site<S>, life: &Life) {
    let (address, attribute) = life.harmed;
    site.project.edit("deploy.yaml", life.harm[0], life.harm[1]);
    site.project.commit("Another name");
    let refused = site.run(&["plan", "production"]).expect(21);
    let refused = refused.says(&[&format!("{address} has `prevent_destroy`"), "remove `prevent_destroy` from infra/"]);
    let line = refused.stdout.lines().find(|line| line.contains(&format!(" {address} "))).unwrap();
    assert!(line.starts_with("± replace") && line.contains("PROTECTED: refused"), "{}", refused.stdout);
    assert!(line.contains(&format!("because of {attribute}")), "{}", refused.stdout);
    assert!(!refused.stdout.contains("--approve"), "{}", refused.stdout);
    site.run(&["apply", "production"]).expect(21).says(&["there is no plan"]);
    site.project.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    site.run(&["plan", "production"]).expect(0);
}

/// A plan shows a change outside of OpenTofu, and the apply reverts it.
fn drifted<S>(site: &Site<S>, life: &Life) {
    let cloud = site.cloud.as_ref().unwrap();
    let (kind, address, attribute, value) = &life.drift;
    let (file, mut values) = cloud.only(kind);
    let before = values[*attribute].take();
    values[*attribute] = value.clone();
    fs_err::write(file, values.to_string()).unwrap();
    let found = Ran::of(&mut site.toolkit(&["drift", "production"])).expect(10);
    for said in [
        &format!("{address} was changed outside of OpenTofu: {attribute}\n"),
        "adopt",
        "cargo xtask tofu apply production",
    ] {
        assert!(found.stdout.contains(said), "{said}: {}", found.stdout);
    }
    let ran = site.run(&["plan", "production"]).expect(10);
    assert!(
        ran.stdout.contains(&format!("! {address} was changed outside of OpenTofu: {attribute}\n")),
        "{}",
        ran.stdout
    );
    let plan = site.result(&["plan", "production"], 10);
    let named = |list: &str| plan[list].as_array().unwrap().iter().map(|it| it["address"].clone()).collect::<Vec<_>>();
    assert_eq!((named("changes"), named("drift")), (vec![json!(address)], vec![json!(address)]), "{plan:#}");
    site.change();
    assert_eq!(cloud.only(kind).1[*attribute], before);
    site.run(&["plan", "production"]).expect(0);
    let same = Ran::of(&mut site.toolkit(&["drift", "production"])).expect(0);
    assert!(same.stdout.contains(&format!("{} resources", life.makes)), "{}", same.stdout);
}

/// The stack is deleted only after commits removed both `protect` and `prevent_destroy`.
fn ended<S>(site: &Site<S>, life: &Life) {
    let cloud = site.cloud.as_ref().unwrap();
    let destroy = ["plan", "production", "--destroy"];
    let names = |what: &str| life.kept.iter().map(|address| format!("{address} {what}")).collect::<Vec<_>>();
    let refused = |names: Vec<String>| {
        site.run(&destroy).expect(21).says(&names.iter().map(String::as_str).collect::<Vec<_>>());
        site.run(&["apply", "production"]).expect(21).says(&["there is no plan"]);
    };
    refused(names("has `prevent_destroy`"));
    let deploy = site.project.read("deploy.yaml");
    let protect = deploy.lines().find(|line| line.starts_with("    protect: ")).expect("it protects something");
    site.project.edit("deploy.yaml", protect, "    protect: []");
    site.project.commit("One guard less");
    refused(names("has `prevent_destroy`"));
    site.project.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    for file in ["media.tf", "registry.tf", "queue.tf"].map(|name| format!("infra/{}/{name}", life.stack)) {
        if site.project.root.join(&file).exists() {
            let text = site.project.read(&file);
            site.project.write(&file, &text.replace("    prevent_destroy = true\n", ""));
        }
    }
    site.project.commit("The other guard less");
    refused(names("would be deleted; `protect` names"));
    assert_eq!(cloud.count(), life.makes - life.own);
    site.project.edit("deploy.yaml", protect, "    protect: []");
    site.project.commit("No guard");
    let plan = site.result(&destroy, 10);
    assert_eq!(plan["counts"], json!({ "delete": life.makes }), "{plan:#}");
    let applied = site.result(&["apply", "production", "--approve", plan["approval"].as_str().unwrap()], 0);
    assert_eq!(applied["deleted"], life.makes);
    assert_eq!(cloud.count(), 0);
    assert_eq!(site.result(&["output", "production"], 0)["outputs"], json!({}));
}
