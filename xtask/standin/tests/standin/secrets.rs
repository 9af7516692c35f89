//! Secrets are where they belong.

use super::life::SERVICE;
use super::world::World;

#[test]
fn a_secret_is_kept_and_never_said() {
    let Some(mut world) = World::new() else { return };
    let stack = world.stack(SERVICE);
    let long = format!("-var=secret=sentinel-5b1d{}", "x".repeat(1000));
    let mut said = String::new();
    for args in [
        &["validate"][..],
        &["plan", "-input=false", &long],
        &["apply", "-auto-approve", "-input=false"],
        &["plan", "-input=false"],
    ] {
        said += &stack.run(args).said;
    }
    assert!(said.contains("allows 1000") && said.contains("6 added"), "{said}");
    assert!(!said.contains("sentinel-5b1d"), "{said}");
    drop(stack);
    let (file, values) = world.kept("scaleway_container").remove(0);
    assert_eq!(values["secret_environment_variables"]["JWT_SECRET"], "sentinel-5b1d");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!world.end().contains("sentinel-5b1d"));
}

#[test]
fn what_is_write_only_is_stored_nowhere() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(
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
    let kept = world.kept("scaleway_secret_version").remove(0).1.to_string();
    assert!(!state.contains("sentinel-77e0") && !kept.contains("sentinel-77e0"));
    assert!(stack.values("scaleway_secret_version.v")["id"].as_str().unwrap().starts_with("fr-par/"));
}
