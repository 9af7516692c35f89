//! The stack of an environment's media.

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::{Config, Target};

const STATE: &str = "    state: { bucket: shop-state, region: fr-par, provider: scaleway, key: a.tfstate }\n";
const OF_MEDIA: &str = "    media: { stack: infra/aws, settings: { S3_BUCKET: bucket, CDN_KEY: keys.first } }\n";

/// A deploy.yaml whose environment `production` has these lines too.
fn with(lines: &str) -> String {
    format!("{SMALLEST}  production:\n    target: scaleway\n    registry: rg.fr-par.scw.cloud/shop\n{lines}")
}

fn on_a_host(lines: &str) -> String {
    let id = "0".repeat(64);
    let host = format!("port: 80\n    proxy: sha256:{id}\n    service: {{ health: [app] }}");
    format!("{SMALLEST}  production:\n    target: compose\n    {host}\n{lines}")
}

#[test]
fn the_stack_of_the_media_is_an_environment_of_its_own() {
    let config = Config::parse(&with(&format!("    stack: infra\n{STATE}{OF_MEDIA}"))).unwrap();
    let media = &config.environments["production-media"];
    let Target::Media(target) = &media.target else { panic!("{media:?}") };
    assert_eq!((target.of.as_str(), target.stack.folder.as_str()), ("production", "infra/aws"));
    // In the same bucket, under a key of its own.
    assert_eq!((target.stack.state.bucket.as_str(), target.stack.state.key.as_deref()), ("shop-state", None));
    assert!(media.registry().is_none() && media.settings.is_none() && !media.has_own_stack());
    assert!(config.environments["production"].has_own_stack());

    // A Docker host has no stack, so it says where the state is.
    let state = "state: { bucket: media-state, region: eu-north-1, provider: aws }";
    let own = OF_MEDIA.replace("settings:", &format!("{state}, settings:"));
    let config = Config::parse(&on_a_host(&own)).unwrap();
    let state = &config.environments["production-media"].stack().unwrap().state;
    assert_eq!(state.bucket, "media-state");
    assert!(config.environments["production"].stack().is_none());
}

#[test]
fn media_that_no_service_could_use_are_refused() {
    assert_snapshot!(refused(&with(OF_MEDIA)), @r"
    deploy.yaml:13:12: environments.production.media: belongs to a service that the toolkit deploys, and this environment has none
      add `stack`, or the `proxy` of a Docker host; or remove `media`
    ");
    assert_snapshot!(refused(&on_a_host(OF_MEDIA)), @r"
    deploy.yaml:15:5: environments.production.media.state: missing
      add `state: { bucket: my-service-state, region: fr-par, provider: scaleway }`
    ");
    let twice = format!("    stack: infra\n{STATE}{OF_MEDIA}    settings: {{ S3_BUCKET: x }}\n");
    assert_snapshot!(refused(&with(&twice)), @r"
    deploy.yaml:15:12: environments.production.media: S3_BUCKET is in `settings`, too
      keep the one that says its value
    ");
    let named = OF_MEDIA.replace("S3_BUCKET: bucket", "s3: 'bucket '");
    assert_snapshot!(refused(&with(&format!("    stack: infra\n{STATE}{named}"))), @r"
    deploy.yaml:15:44: environments.production.media.settings.s3: not the name of an environment variable: expected A–Z, 0–9 and `_`
      write `S3`
    deploy.yaml:15:48: environments.production.media.settings.s3: found the text `bucket `, expected the name of an output, or of a map and a key in it as `map.key`
      for example `s3: bucket`
    ");
    let taken = format!("    stack: infra\n{STATE}{OF_MEDIA}  production-media: {{ target: local, port: 1 }}\n");
    assert_snapshot!(refused(&with(&taken)), @r"
    deploy.yaml:16:3: environments.production-media: is the name of the stack of production's media
      name it otherwise
    ");
}
