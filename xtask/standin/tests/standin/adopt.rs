//! What was there before its stack.

use super::world::World;

/// Of the production stack, unchanged.
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
fn a_registry_namespace_is_taken_over() {
    let Some(world) = World::new() else { return };
    // Whoever made it: the stack of this test has forgotten it.
    let before = world.stack(&stack("null"));
    assert_eq!(before.changes(), [("scaleway_registry_namespace.images".to_owned(), "create".to_owned())]);
    assert_eq!(before.apply().code, 0);
    let id = before.values("scaleway_registry_namespace.images")["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("fr-par/"), "{id}");

    let after = world.stack(&stack(&format!("\"{id}\"")));
    let plan = after.plan();
    assert_eq!(plan["resource_changes"][0]["change"]["importing"]["id"], id.as_str(), "{plan}");
    assert_eq!(plan["resource_changes"][0]["change"]["actions"][0], "no-op", "{plan}");
    let ran = after.apply();
    assert!(ran.said.contains("1 imported, 0 added, 0 changed"), "{}", ran.said);
    assert_eq!(world.kept("scaleway_registry_namespace").len(), 1);
    // It may go on being named.
    assert_eq!(after.changes(), []);
    assert!(after.ok(&["plan", "-input=false"]).said.contains("No changes"));

    let nobody = world.stack(&stack("\"fr-par/00000000-0000-4000-8000-000000000000\""));
    let ran = nobody.run(&["plan", "-input=false"]);
    assert!(ran.code == 1 && ran.line().contains("there is no scaleway_registry_namespace"), "{}", ran.said);
}
