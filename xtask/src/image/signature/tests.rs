use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn a_signature_is_of_one_key_name_subject_and_digest() {
    let key = Key::new(b"key", true);
    let one = key.tag("rg.example.org/space/app", Subject::Image("abc"), DIGEST);
    assert!(crate::clients::registry::reference::is_tag(&one) && one.len() == TAG_PREFIX.len() + 40, "{one}");
    let other_digest = DIGEST.replace("0123", "3210");
    for other in [
        Key::new(b"kez", true).tag("rg.example.org/space/app", Subject::Image("abc"), DIGEST),
        key.tag("rg.example.org/space/app2", Subject::Image("abc"), DIGEST),
        key.tag("rg.example.org/space/app", Subject::Image("abd"), DIGEST),
        key.tag("rg.example.org/space/app", Subject::Cache, DIGEST),
        key.tag("rg.example.org/space/app", Subject::Image("abc"), &other_digest),
    ] {
        assert_ne!(one, other);
    }
    assert_eq!(one, key.tag("rg.example.org/space/app", Subject::Image("abc"), DIGEST));
}

#[tokio::test]
async fn a_key_is_derived_from_a_passphrase_and_a_project() {
    let passphrase = || SecretString::from("sixteen bytes at least");
    let tag = |key: &Key| key.tag("app", Subject::Cache, DIGEST);
    let (one, again) = tokio::try_join!(derive(passphrase(), "p"), derive(passphrase(), "p")).unwrap();
    // An environment may have a passphrase of its own.
    let another = derive(SecretString::from("the passphrase of staging"), "p");
    let (other, another) = tokio::try_join!(derive(passphrase(), "q"), another).unwrap();
    assert_eq!(tag(&one), tag(&again));
    assert!(tag(&one) != tag(&other) && tag(&one) != tag(&another));
    let short = derive(SecretString::from("sentinel"), "p").await.err().unwrap().to_string();
    assert!(short.contains("at least 16") && !short.contains("sentinel"), "{short}");
}
