# What the service may do. Rights are given by project: that is why the project holds nothing else, and why the state bucket is
# in another one. The bucket's policy narrows them to media.
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

# What a deploy may do: run and push, and change how media are kept. It may not remove the bucket, read media (the bucket's
# policy), rewrite that policy, or change who may do what: a person applies such a change. Its key is made by hand, so that no
# state holds it.
resource "scaleway_iam_application" "deployer" {
  name = "${local.name}-deployer"
  tags = local.tags
}

resource "scaleway_iam_policy" "deployer" {
  name           = "${local.name}-deployer"
  application_id = scaleway_iam_application.deployer.id
  tags           = local.tags

  rule {
    project_ids = [var.project_id]
    permission_set_names = [
      "ContainersFullAccess",
      "ContainerRegistryFullAccess",
      "ObjectStorageReadOnly", # the only set that may look at a policy without changing it
      "ObjectStorageBucketsWrite",
    ]
  }

  rule {
    project_ids = [var.state_project_id]
    permission_set_names = [
      "ObjectStorageBucketsRead",
      "ObjectStorageObjectsRead",
      "ObjectStorageObjectsWrite",
      "ObjectStorageObjectsDelete", # the lock
    ]
  }

  rule {
    organization_id      = var.organization_id
    permission_set_names = ["IAMApplicationReadOnly", "IAMPolicyReadOnly"]
  }
}
