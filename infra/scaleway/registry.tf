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
