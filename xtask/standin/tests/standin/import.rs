//! Import blocks.

use super::harness::TestProvider;

/// From the production stack.
const REGISTRY: &str = include_str!("../../../../infra/scaleway/registry.tf");

fn stack(id: &str) -> String {
    format!(
        "{REGISTRY}
variable \"project_id\" {{
  default = \"11111111-2222-4333-8444-555555555555\"
}}

variable \"region\" {{
  default = \"fr-par\"
}}

variable \"registry_namespace\" {{
  default = \"shop\"
}}

variable \"registry_namespace_id\" {{
  type    = string
  default = {id}
}}
"
    )
}

#[test]
fn an_existing_registry_namespace_is_imported() {
    let Some(provider) = TestProvider::new() else { return };
    // Another stack creates the namespace.
    let before = provider.stack(&stack("null"));
    assert_eq!(before.changes(), [("scaleway_registry_namespace.images".to_owned(), "create".to_owned())]);
    assert_eq!(before.apply().code, 0);
    let id = before.values("scaleway_registry_namespace.images")["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("fr-par/"), "{id}");

    let after = provider.stack(&stack(&format!("\"{id}\"")));
    let plan = after.plan();
    assert_eq!(plan["resource_changes"][0]["change"]["importing"]["id"], id.as_str(), "{plan}");
    assert_eq!(plan["resource_changes"][0]["change"]["actions"][0], "no-op", "{plan}");
    let result = after.apply();
    assert!(result.output.contains("1 imported, 0 added, 0 changed"), "{}", result.output);
    assert_eq!(provider.stored("scaleway_registry_namespace").len(), 1);
    // The import block can stay in the configuration.
    assert_eq!(after.changes(), []);
    assert!(after.ok(&["plan", "-input=false"]).output.contains("No changes"));

    let missing = provider.stack(&stack("\"fr-par/00000000-0000-4000-8000-000000000000\""));
    let result = missing.run(&["plan", "-input=false"]);
    assert!(
        result.code == 1 && result.one_line().contains("there is no scaleway_registry_namespace"),
        "{}",
        result.output
    );
}
