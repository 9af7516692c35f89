# A container namespace no longer creates a registry. This namespace holds all releases that a rollback can use.
resource "scaleway_registry_namespace" "images" {
  name       = var.registry_namespace
  project_id = var.project_id
  region     = var.region
  is_public  = false

  lifecycle {
    prevent_destroy = true
  }
}

# The first image is pushed before the first apply, so `cargo xtask bootstrap registry` creates the namespace and this block
# imports it. It has no effect once the namespace is in the state.
import {
  for_each = var.registry_namespace_id == null ? toset([]) : toset([var.registry_namespace_id])
  to       = scaleway_registry_namespace.images
  id       = each.value
}
