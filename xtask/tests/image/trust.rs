//! An image that another machine has pushed under the tag of the inputs is used only with a signature.

use crate::shop::{BASE, Shop, docker_says};
use devservers::registry::Image;
use testkit::{Ended, Running};

/// The image of an attacker who may push.
fn forged<'a>(tags: &'a [&'a str]) -> Image<'a> {
    Image { tags, created: "2026-01-01T00:00:00Z", version: "evil", layer: 1000 }
}

#[track_caller]
fn built_again(ended: &Ended, why: &str) {
    let said = ended.texts("finished");
    assert!(said.contains("built again") && said.contains(why), "{:#?}", ended.events);
    assert!(ended.steps("reused").is_empty(), "{:#?}", ended.events);
}

#[test]
fn an_image_that_replaced_the_signed_one_is_built_again() {
    let Some(shop) = Shop::open("an_image_that_replaced_the_signed_one_is_built_again") else { return };
    let push = ["image", "push", "production"];
    let first = shop.result(&push);
    let (digest, inputs) = (first["digest"].as_str().unwrap(), first["tags"][0].as_str().unwrap());
    let all = shop.result(&["image", "list", "production"])["tags"].to_string();
    let signatures: Vec<&str> = all.split('"').filter(|tag| tag.starts_with("signed-")).collect();
    assert!(!signatures.is_empty(), "{all}");

    // The attacker has the real signatures, and moves every tag.
    let commit = shop.commit();
    let tags = [&[inputs, "cache", &commit], &signatures[..]].concat();
    let evil = shop.registry.push(&shop.repository(), &forged(&tags));
    assert_eq!(shop.digest(inputs).as_ref(), Some(&evil));
    // The engine has the image that it built, so it is pushed again.
    let again = shop.events(&push).expect(0);
    assert!(again.texts("reused").contains("is in the Docker engine"), "{:#?}", again.events);
    assert_eq!(shop.digest(inputs).as_deref(), Some(digest));

    // An engine with another image under this name, as after a pull, does not use it.
    shop.registry.push(&shop.repository(), &forged(&tags));
    docker_says(&["tag", BASE, &format!("{}/{}:{inputs}", shop.registry.address, shop.repository())]);
    let again = shop.events(&push).expect(0);
    built_again(&again, "of the registry is not used: this machine has not built it");
    built_again(&again, "of the Docker engine is not used");
    let now = shop.digest(inputs).unwrap();
    assert_ne!(now, evil);
    assert_eq!(shop.events(&push).expect(0).steps("reused"), ["build", "publish"]);
}

#[test]
fn another_machine_uses_the_image_if_both_have_the_passphrase() {
    let Some(shop) = Shop::open("another_machine_uses_the_image_if_both_have_the_passphrase") else { return };
    let push = |passphrase: Option<&str>| {
        let mut command = shop.command(&["image", "push", "production"]);
        command.arg("--json").envs(passphrase.map(|passphrase| ("TF_STATE_PASSPHRASE", passphrase)));
        Running::start(&mut command).end().expect(0)
    };
    // Another machine has neither the engine's images nor this one's key.
    let away = || {
        shop.remove_images();
        for file in ["image-key.env", "image-built"] {
            fs_err::remove_file(shop.project.root.join(".deploy/production").join(file)).ok();
        }
    };
    let shared = Some("sentinel passphrase of thirty-two");
    push(shared);
    away();
    let other = push(shared);
    assert!(other.texts("reused").contains("is in the registry"), "{:#?}", other.events);
    assert!(!shop.project.root.join(".deploy/production/image-key.env").exists());
    built_again(
        &push(Some("another passphrase of thirty-two")),
        "no machine with this TF_STATE_PASSPHRASE has signed it",
    );
    away();
    built_again(&push(None), "without TF_STATE_PASSPHRASE no other machine's signature can be checked");
    let key = shop.project.root.join(".deploy/production/image-key.env");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
