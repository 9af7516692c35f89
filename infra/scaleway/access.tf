# What the service may do, apart from whoever deploys it. Rights are given by project: that is why the project holds nothing
# else, and why the state bucket is in another one. The bucket's policy narrows them to media.
resource "scaleway_iam_application" "service" {
  name = "${local.name}-service"
  tags = local.tags
}

resource "scaleway_iam_policy" "service" {
  name           = "${local.name}-service"
  application_id = scaleway_iam_application.service.id
  tags           = local.tags

  rule {
    project_ids = [var.project_id]
    permission_set_names = [
      "ObjectStorageBucketsRead", # HeadBucket, which readiness asks
      "ObjectStorageObjectsRead",
      "ObjectStorageObjectsWrite",
      "ObjectStorageObjectsDelete",
    ]
  }
}

# A new key is made and handed to the container before the old one goes.
resource "scaleway_iam_api_key" "service" {
  application_id     = scaleway_iam_application.service.id
  default_project_id = var.project_id

  lifecycle {
    create_before_destroy = true
  }
}
