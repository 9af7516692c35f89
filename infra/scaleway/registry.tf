# No registry comes with a container namespace any more. It holds every release that a rollback could need.
resource "scaleway_registry_namespace" "images" {
  name       = var.registry_namespace
  project_id = var.project_id
  region     = var.region
  is_public  = false

  lifecycle {
    prevent_destroy = true
  }
}

# The first image is pushed before the first apply, so `cargo xtask bootstrap registry` has made the namespace by then: it is taken
# over, not made a second time. Once it is in the state, this does nothing any more.
import {
  for_each = var.registry_namespace_id == null ? toset([]) : toset([var.registry_namespace_id])
  to       = scaleway_registry_namespace.images
  id       = each.value
}
