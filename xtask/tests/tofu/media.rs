//! The stack of the media beside the service's: planned, approved and applied in one deploy, whose service gets its outputs. The
//! service's stack is that of Scaleway on the stand-in, as in `production.rs`.

use serde_json::json;

use crate::gateway::Gateway;
use crate::operations::result;
use crate::production::{approved, deploy, no_object_tells_a_secret, xtask};
use crate::site::{Site, cloud};
use crate::stacks::{copy, example};
use crate::whole::{get, open};
use testkit::Ran;

/// A bucket that is none, and keys in a map.
const STACK: &str = r#"terraform {
  backend "s3" {}
}

variable "bucket" {}
variable "note" {}
variable "secret" {
  sensitive = true
}

resource "terraform_data" "bucket" {
  input = var.bucket
}

resource "terraform_data" "note" {
  input = var.note
}

output "bucket" {
  value = terraform_data.bucket.output
}

output "keys" {
  value     = { service = var.secret }
  sensitive = true
}
"#;

const MEDIA: &str = "    media:
      stack: infra/media
      protect: [terraform_data.bucket]
      variables: { bucket: first-media, note: one }
      settings: { S3_BUCKET: bucket, S3_SECRET_ACCESS_KEY: keys.service }
";

/// The service: it says that it is ready, and what it was given.
const START: &str = r#"#!/bin/busybox sh
b=/bin/busybox
status=ready
$b mkdir -p /www/api/health
echo fine > /www/api/health/readiness
echo fine > /www/api/health/liveness
$b printf '{"status":"%s","version":"%s"}' "$status" "$SERVICE_VERSION" > /www/ready
$b printf '%s %s' "$S3_BUCKET" "$S3_SECRET_ACCESS_KEY" > /www/media
trap 'exit 0' TERM
$b httpd -f -p "$PORT" -h /www &
wait
"#;

#[test]
fn the_media_are_applied_before_the_service_and_give_it_their_outputs() {
    let test = "the_media_are_applied_before_the_service_and_give_it_their_outputs";
    let Some((mut site, _registry, _rest)) = open(test, START) else { return };
    let _gateway = Gateway::before(&mut site);
    let gate = "    target: scaleway\n    gate: { watch: 0, no_progress: 2 }\n";
    site.project.edit("deploy.yaml", "    target: scaleway\n", &format!("{gate}{MEDIA}"));
    site.project.write("infra/media/main.tf", STACK);
    crate::operations::set(&site, "MEDIA_TF_VAR_secret=sentinel-of-media\n");
    let first = site.project.commit("Media");
    shows(&xtask(&site, &["doctor", "production"]), &["production-media: states accepts the key"]);
    site.run(&["plan", "production"]).expect(21).says(&["gives no S3_BUCKET", "cargo xtask deploy production"]);

    // The service is planned with what the media's stack gives, so that is applied first.
    let planned = deploy(&site, &["--plan-only"]).expect(10);
    shows(&planned, &["+ create   terraform_data.bucket", "the service is planned with what this gives"]);
    let refused = site.type_it(&planned, "to apply   ").expect(21).says(&[
        "2 created, 0 changed, 0 deleted; gives 2 settings",
        "13 to create",
        "nothing was applied",
    ]);
    site.type_it(&refused, "type: ").expect(0).says(&["live", &first]);
    let address = site.result(&["output", "production"], 0)["outputs"]["endpoint"].as_str().unwrap().to_owned();
    assert_eq!(get(&address, "/media"), "first-media sentinel-of-media");
    let outputs = site.result(&["output", "production-media"], 0);
    assert_eq!(outputs["outputs"]["bucket"], "first-media");
    let record = result(&site, &["status", "production"], 0)["record"].take();
    assert_eq!(record["settings"]["S3_BUCKET"], "first-media");
    deploy(&site, &[]).expect(0).says(&["unchanged"]);
    shows(&xtask(&site, &["drift", "production"]).expect(0), &["15 resources"]);

    // Where the media change nothing of that, one approval covers both plans.
    site.project.edit("deploy.yaml", "note: one", "note: two");
    site.project.edit("start", "exit 0", "exit");
    let second = site.project.commit("Both");
    let planned = deploy(&site, &["--plan-only"]).expect(10);
    shows(&planned, &["~ update   terraform_data.note", "~ update   scaleway_container.service"]);
    let digests = planned.stdout.trim().rsplit(' ').next().unwrap();
    let (of_media, of_service) = digests.split_once('-').expect("there are two");
    for wrong in [of_service.to_owned(), format!("{of_service}-{of_media}"), format!("{of_media}-{}", "0".repeat(32))] {
        deploy(&site, &["--approve", &wrong])
            .expect(21)
            .says(&["nothing was applied", "the approval is for another plan"]);
    }
    site.run(&["plan", "production-media"]).expect(10);
    deploy(&site, &["--approve", digests]).expect(21).says(&["the approval is for another plan"]);
    approved(&site, &["deploy", "production"]).expect(0).says(&["live", &second]);
    site.run(&["plan", "production-media"]).expect(0);

    fails_between_and_goes_back(&site, &address, &first, &second);
    no_object_tells_a_secret(&site, 8);
}

/// This repository's stack of AWS beside its stack of Scaleway, with what its README says of both.
#[test]
fn the_stack_of_aws_is_deployed_as_the_media_of_a_service() {
    let test = "the_stack_of_aws_is_deployed_as_the_media_of_a_service";
    let given = "$S3_BUCKET $S3_REGION $S3_ACCESS_KEY_ID $S3_SECRET_ACCESS_KEY $QUEUE_URL $CDN_URL $CDN_KEY_PAIR_ID";
    let start = START.replace("'%s %s' \"$S3_BUCKET\" \"$S3_SECRET_ACCESS_KEY\"", &format!("%s \"{given}\""));
    let Some((mut site, registry, _rest)) = open(test, &start) else { return };
    // No S3 server of this machine knows the principals of this stack's policies: its buckets are with the stand-in alone.
    let machine = [("STANDIN_DOCKER", "1"), ("STANDIN_API", "127.0.0.1:0"), ("STANDIN_REGISTRY", &registry.address)];
    site.cloud = Some(cloud(&machine));
    let _gateway = Gateway::before(&mut site);
    copy("aws", &site.project.root);
    let (alone, beside) = (example("aws", 1), example("aws", 2));
    let variables = alone.split_once("    variables:\n").expect("the stack has variables").1;
    let variables: String = variables.split_inclusive('\n').map(|line| format!("  {line}")).collect();
    let settings = beside.split_once("      settings:\n").expect("the media give settings").1;
    let media = format!(
        "    target: scaleway
    gate: {{ watch: 0, no_progress: 2 }}
    media:
      stack: infra/aws
      protect: [aws_s3_bucket.media, aws_sqs_queue.uploads, aws_sqs_queue.dead_letters]
      variables:\n{variables}      settings:\n{settings}"
    );
    site.project.edit("deploy.yaml", "    target: scaleway\n", &media);
    let release = site.project.commit("Media at AWS");

    let second = approved(&site, &["deploy", "production"]).expect(21).says(&["gives 7 settings", "13 to create"]);
    site.type_it(&second, "type: ").expect(0).says(&["live", &release]);
    let outputs = |stack: &str| site.result(&["output", stack], 0)["outputs"].take();
    let (service, media) = (outputs("production"), outputs("production-media"));
    let served = get(service["endpoint"].as_str().unwrap(), "/media");
    let got: Vec<_> = served.split(' ').collect();
    let key = &media["signing_key_ids"]["key-0123456789ab"];
    let [queue, delivery, id] = ["queue_url", "delivery_url", "service_access_key_id"].map(|name| &media[name]);
    assert_eq!(
        json!([got[0], got[1], got[2], got[4], got[5], got[6]]),
        json!(["meemit-media", "eu-north-1", id, queue, delivery, key])
    );
    assert_eq!((got.len(), got[3].len()), (7, 40), "the secret key is there");
    deploy(&site, &[]).expect(0).says(&["unchanged"]);
    no_object_tells_a_secret(&site, 5);
}

#[track_caller]
fn shows(ran: &Ran, texts: &[&str]) {
    for text in texts {
        assert!(ran.stdout.contains(text), "it does not show {text:?}: {ran:?}");
    }
}

/// What was applied to the media stays, whatever becomes of the service.
fn fails_between_and_goes_back(site: &Site, address: &str, first: &str, second: &str) {
    // What is protected is not deleted, and nothing of the service is touched.
    site.project.edit("infra/media/main.tf", "\"terraform_data\" \"bucket\"", "\"terraform_data\" \"other\"");
    site.project.edit("infra/media/main.tf", "terraform_data.bucket.output", "terraform_data.other.output");
    site.project.commit("Another bucket");
    deploy(site, &[]).expect(21).says(&["terraform_data.bucket would be deleted; `protect` names"]);
    site.project.git(&["reset", "--quiet", "--hard", "HEAD~1"]);

    // The release fails; the one before it is brought back, with what the media's stack gives now.
    site.project.edit("deploy.yaml", "bucket: first-media", "bucket: second-media");
    site.project.edit("start", "status=ready", "status=unready");
    site.project.commit("One that does not get ready");
    let refused = approved(site, &["deploy", "production"]).expect(21);
    site.type_it(&refused, "type: ").expect(30).says(&[&format!("{second} serves as before")]);
    assert_eq!(get(address, "/media"), "second-media sentinel-of-media");
    site.run(&["plan", "production-media"]).expect(0);

    // So is one that a rollback brings back.
    approved(site, &["rollback", "production"]).expect(0).says(&["live", first]);
    assert_eq!(get(address, "/media"), "second-media sentinel-of-media");
    let record = result(site, &["status", "production"], 0)["record"].take();
    assert_eq!((&record["settings"]["S3_BUCKET"], &record["kind"]), (&json!("second-media"), &json!("rollback")));
}
