//! `image push`: the toolkit and the registry report the same digest.

use crate::shop::Shop;
use testkit::{until, until_some};

#[test]
fn an_image_is_pushed_once_and_has_one_digest() {
    let Some(shop) = Shop::open("an_image_is_pushed_once_and_has_one_digest") else { return };
    let first = shop.result(&["image", "push", "production"]);
    let digest = first["digest"].as_str().unwrap().to_owned();
    assert_eq!(first["image"], format!("{}/{}@{digest}", shop.registry.address, shop.repository()));
    let inputs = first["tags"][0].as_str().unwrap();
    assert!(inputs.starts_with("inputs-"), "{first}");
    for tag in [inputs, shop.commit().as_str(), "latest", "cache"] {
        assert_eq!(shop.digest(tag).as_ref(), Some(&digest), "{tag}");
    }

    // A commit that does not change the image gets its tag without a build.
    shop.project.write("README.md", "# Another\n");
    shop.project.commit("Docs");
    let docs = shop.events(&["image", "push", "production"]).expect(0);
    assert_eq!(docs.steps("reused"), ["build", "publish"], "{:#?}", docs.events);
    assert_eq!(shop.digest(&shop.commit()).as_ref(), Some(&digest));

    // Only commits on the main branch move `latest`.
    shop.project.git(&["checkout", "--quiet", "-b", "feature"]);
    shop.project.edit("src/main.rs", "//! A service", "//! A better service");
    shop.project.commit("Better");
    let feature = shop.result(&["image", "push", "production"]);
    assert_ne!(feature["digest"], digest.as_str());
    assert_eq!(shop.digest(&shop.commit()).as_deref(), feature["digest"].as_str());
    assert_eq!(shop.digest("latest"), Some(digest));
}

#[test]
fn finding_an_image_in_the_registry_takes_two_requests() {
    let Some(shop) = Shop::open("finding_an_image_in_the_registry_takes_two_requests") else { return };
    shop.run(&["image", "push", "production"]).expect(0);
    // The registry logs a request after its answer: the last of all these is the one for `cache`.
    until("the registry has written down the push", || {
        shop.registry
            .requests()
            .iter()
            .any(|request| request.starts_with("PUT") && request.contains("/manifests/cache"))
    });
    let before = shop.registry.requests().len();
    let again = shop.events(&["image", "build", "production"]).expect(0);
    assert!(again.texts("reused").contains("is in the registry"), "{:#?}", again.events);
    // This request marks the end: requests of the command are logged before it.
    shop.digest("end-of-the-log");
    let asked = until_some("the registry has written down what it was asked", || {
        let asked = shop.registry.requests().split_off(before);
        asked.iter().any(|request| request.contains("end-of-the-log")).then_some(asked)
    });
    let manifests = asked.iter().filter(|request| request.contains("/manifests/inputs-")).count();
    assert_eq!(manifests, 1, "{asked:#?}");
    let lists = asked.iter().filter(|request| request.contains("/tags/list")).count();
    assert_eq!(lists, 1, "the signature is looked for among all tags: {asked:#?}");
    assert!(!asked.iter().any(|request| request.contains("signed-")), "the registry is not told it: {asked:#?}");
    assert!(asked.len() <= 4, "two requests, one that learns how to log in, and the mark: {asked:#?}");
}

#[test]
fn pushing_without_a_registry_is_a_usage_error() {
    let Some(shop) = Shop::open("pushing_without_a_registry_is_a_usage_error") else { return };
    shop.run(&["image", "push"]).expect(2).says(&["local has no registry", "production"]);
    shop.run(&["image", "push", "staging"]).expect(2).says(&["there is no environment `staging`"]);
    shop.run(&["deploy", "production"]).expect(2).says(&["cargo xtask image push production"]);
}
