//! Where secrets are stored and printed.

use super::harness::TestProvider;
use super::lifecycle::SERVICE;

#[test]
fn a_secret_is_stored_but_never_printed() {
    let Some(mut provider) = TestProvider::new() else { return };
    let stack = provider.stack(SERVICE);
    let long = format!("-var=secret=sentinel-5b1d{}", "x".repeat(65536));
    let mut output = String::new();
    for args in [
        &["validate"][..],
        &["apply", "-auto-approve", "-input=false", &long],
        &["apply", "-auto-approve", "-input=false"],
        &["plan", "-input=false"],
    ] {
        output += &stack.run(args).one_line();
    }
    assert!(output.contains("65536 are allowed") && output.contains("2 added"), "{output}");
    assert!(!output.contains("sentinel-5b1d"), "{output}");
    drop(stack);
    let (file, values) = provider.stored("scaleway_container").remove(0);
    assert_eq!(values["secret_environment_variables"]["JWT_SECRET"], "sentinel-5b1d");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!provider.stop().contains("sentinel-5b1d"));
}

#[test]
fn a_write_only_value_is_not_stored() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(
        r#"
resource "scaleway_secret" "s" {
  name = "s"
}

resource "scaleway_secret_version" "v" {
  secret_id       = scaleway_secret.s.id
  data_wo         = "sentinel-77e0"
  data_wo_version = 1
}
"#,
    );
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    let state = fs_err::read_to_string(stack.path().join("terraform.tfstate")).unwrap();
    let kept = provider.stored("scaleway_secret_version").remove(0).1.to_string();
    assert!(!state.contains("sentinel-77e0") && !kept.contains("sentinel-77e0"));
    assert!(stack.values("scaleway_secret_version.v")["id"].as_str().unwrap().starts_with("fr-par/"));
}
