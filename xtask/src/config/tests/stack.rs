//! An environment's stack.

use std::time::Duration;

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::{Approvals, Config, Provider, Stack, StackProgram};

/// A deploy.yaml whose environment `production` has these lines too.
fn with(lines: &str) -> String {
    format!("{SMALLEST}  production:\n    target: scaleway\n    registry: rg.fr-par.scw.cloud/shop\n{lines}")
}

fn stack(lines: &str) -> Stack {
    Config::parse(&with(lines)).unwrap().environments["production"].stack().unwrap().clone()
}

#[test]
fn omitted_keys_have_defaults() {
    let stack =
        stack("    stack: infra/scaleway\n    state: { bucket: shop-state, region: fr-par, provider: scaleway }\n");
    assert_eq!((stack.folder.as_str(), stack.program), ("infra/scaleway", StackProgram::Tofu));
    assert_eq!((stack.state.provider, stack.state.key.as_deref()), (Provider::Scaleway, None));
    assert_eq!(stack.state.endpoint.as_deref(), Some("https://s3.fr-par.scw.cloud"));
    assert_eq!((stack.state.encrypted, stack.approval), (true, Approvals::Every));
    assert!(stack.protect.is_empty() && stack.variables.is_empty());
    assert_eq!(stack.approval_lasts, Duration::from_secs(3600));
}

#[test]
fn an_environment_for_images_needs_no_stack() {
    assert!(Config::parse(&with("")).unwrap().environments["production"].stack().is_none());
}

#[test]
fn a_domain_is_a_host_name_below_a_zone() {
    let domain = |domain: &str| Config::parse(&with(&format!("    domain: {domain}\n")));
    for good in ["media.example.org", "a.b.c.example.co.uk", "x-1.3com.xn--p1ai"] {
        assert_eq!(domain(good).unwrap().environments["production"].domain(), Some(good));
    }
    assert_eq!(Config::parse(&with("")).unwrap().environments["production"].domain(), None);
    let long = format!("{}.example.org", "a".repeat(64));
    for bad in
        ["Media.example.org", "https://media.example.org", "media.example.org.", "10.0.0.1", "-a.example.org", &long]
    {
        assert!(domain(bad).is_err(), "{bad}");
    }
    assert_snapshot!(refused(&with("    domain: example.org\n")), @r"
    deploy.yaml:13:13: environments.production.domain: found the text `example.org`, expected a host name of three labels or more, in lower case
      for example `domain: media.example.org`
    ");
}

#[test]
fn every_key_is_read() {
    let stack = stack(
        "    stack: infra
    program: terraform
    state: { bucket: shop.state, region: auto, provider: other, endpoint: 'http://[::1]:9000', key: a/b.tfstate, encryption: off }
    protect: [scaleway_object_bucket, 'module.db.t.n[\"a\"]']
    variables: { size: 3, names: '[\"a\"]', on: true }
    approval: off
    approval_minutes: 5
",
    );
    assert_eq!((stack.program, stack.state.encrypted, stack.approval), (StackProgram::Terraform, false, Approvals::No));
    assert_eq!(stack.protect, ["scaleway_object_bucket", "module.db.t.n[\"a\"]"]);
    assert_eq!(stack.variables.values().collect::<Vec<_>>(), ["[\"a\"]", "true", "3"]);
    assert_eq!((stack.approval_lasts.as_secs(), stack.state.key.as_deref()), (300, Some("a/b.tfstate")));
}

#[test]
fn invalid_values_are_refused_at_their_position() {
    assert_snapshot!(refused(&with(
        "    stack: ../infra
    state: { bucket: Shop_State, region: 'fr par', provider: scalway, endpoint: 'https://a/b', key: ../a, encryption: maybe }
    protect: [media bucket, '']
    variables: { 'a b': 1, c: [] }
    approval: maybe
    approval_minutes: 0
    program: pulumi
"
    )), @r"
    deploy.yaml:13:12: environments.production.stack: found the text `../infra`, expected a path inside the project, relative to its root and without `..`
      for example `stack: infra/scaleway`
    deploy.yaml:14:22: environments.production.state.bucket: found the text `Shop_State`, expected the name of a bucket: lower-case letters, digits, `-` and `.`
      for example `bucket: my-service-state`
    deploy.yaml:14:42: environments.production.state.region: found the text `fr par`, expected a region: lower-case letters, digits and `-`
      for example `region: fr-par`
    deploy.yaml:14:62: environments.production.state.provider: unknown value `scalway`
      did you mean `scaleway`? Known values: aws, other, r2, scaleway
    deploy.yaml:14:81: environments.production.state.endpoint: found the text `https://a/b`, expected the address of an S3 service: `https://` and a host, without a path
      for example `endpoint: https://s3.example.com`
    deploy.yaml:14:101: environments.production.state.key: found the text `../a`, expected the name of an object: letters, digits, `-`, `_`, `.` and `/`
      for example `key: my-service/production.tfstate`
    deploy.yaml:14:119: environments.production.state.encryption: unknown value `maybe`
      known values: off, required
    deploy.yaml:15:29: environments.production.protect[1]: found the text ``, expected the address of a resource or module, or a type of resource
      for example `scaleway_object_bucket.media`
    deploy.yaml:16:18: environments.production.variables.a b: not the name of a variable: expected letters, digits, `_` and `-`
      write the name as in the stack
    deploy.yaml:16:31: environments.production.variables.c: found a list, expected a text, a number, true or false
      for example `c: value`
    deploy.yaml:17:15: environments.production.approval: unknown value `maybe`
      known values: none, off, required
    deploy.yaml:18:23: environments.production.approval_minutes: found the number `0`, expected whole minutes from 1 to 10080
      for example `approval_minutes: 60`
    deploy.yaml:19:14: environments.production.program: unknown value `pulumi`
      known values: terraform, tofu
    ");
    // Keys would cross the network in the clear.
    assert_snapshot!(refused(&with(
        "    stack: infra\n    state: { bucket: abc, region: auto, provider: other, endpoint: 'http://s3.example.com' }\n"
    )), @r"
    deploy.yaml:14:68: environments.production.state.endpoint: found the text `http://s3.example.com`, expected the address of an S3 service: `https://` and a host, without a path
      for example `endpoint: https://s3.example.com`
    ");
    assert_snapshot!(refused(&with("    stack: infra\n    state: { bucket: abc, region: auto, provider: r2 }\n")), @r"
    deploy.yaml:14:51: environments.production.state.provider: R2 has a different address for each account
      add `endpoint: https://ACCOUNT_ID.r2.cloudflarestorage.com`
    ");
    assert_snapshot!(refused(&with(
        "    stack: infra\n    program: terraform\n    state: { bucket: abc, region: fr-par, provider: scaleway }\n"
    )), @r"
    deploy.yaml:14:14: environments.production.program: terraform cannot encrypt its state, and `encryption` is required
      use `tofu`, or write `encryption: off` into `state` and accept that the state contains secrets in plain text
    ");
    assert_snapshot!(refused(&with("    protect: [a]\n")), @r"
    deploy.yaml:13:5: environments.production.protect: unknown key
      known keys: domain, gate, keep_releases, media, registry, rehearsal, settings, stack, target, verify
    ");
    assert_snapshot!(refused(&with("    stack: infra\n")), @r"
    deploy.yaml:10:3: environments.production.state: missing
      add `state: { bucket: my-service-state, region: fr-par, provider: scaleway }`
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    stack: infra\n")), @r"
    deploy.yaml:10:5: environments.local.stack: unknown key
      known keys: gate, host, keep_releases, port, postgres, settings, target
    ");
}

#[test]
fn values_for_a_rehearsal_are_read_and_checked_as_those_that_they_stand_for() {
    let rehearsal =
        |yaml: &str| Config::parse(&with(yaml)).unwrap().environment("production").unwrap().rehearsal.clone();
    assert_eq!(rehearsal(""), crate::config::Rehearsal::default());
    let found = rehearsal(
        "    rehearsal:\n      variables: { dns_zone_id: '{zone_id}', size: 3 }\n      settings: { API_TOKEN: rehearsed }\n",
    );
    assert_eq!(found.variables["dns_zone_id"], "{zone_id}");
    assert_eq!((found.variables["size"].as_str(), found.settings["API_TOKEN"].as_str()), ("3", "rehearsed"));
    assert_snapshot!(refused(&with(
        "    rehearsal:\n      variables: { 'a b': 1 }\n      settings: { api_token: x, B: [] }\n      registry: here\n"
    )), @r"
    deploy.yaml:14:20: environments.production.rehearsal.variables.a b: not the name of a variable: expected letters, digits, `_` and `-`
      write the name as in the stack
    deploy.yaml:15:19: environments.production.rehearsal.settings.api_token: not the name of an environment variable: expected A–Z, 0–9 and `_`
      write `API_TOKEN`
    deploy.yaml:15:36: environments.production.rehearsal.settings.B: found a list, expected a text, a number, true or false
      for example `B: value`
    deploy.yaml:16:7: environments.production.rehearsal.registry: unknown key
      known keys: settings, variables
    ");
    // A process on this machine is deployed as it is.
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    rehearsal: {}\n")), @r"
    deploy.yaml:10:5: environments.local.rehearsal: unknown key
      known keys: gate, host, keep_releases, port, postgres, settings, target
    ");
}
