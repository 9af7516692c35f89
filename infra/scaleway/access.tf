# The permissions of the service. Scaleway grants permissions per project, so the project must contain nothing else, and the
# state bucket must be in another one. The bucket policy restricts them to media.
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
      "ObjectStorageBucketsRead", # HeadBucket, for the readiness check
      "ObjectStorageObjectsRead",
      "ObjectStorageObjectsWrite",
      "ObjectStorageObjectsDelete",
    ]
  }
}

# The new key is created and passed to the container before the old one is deleted.
resource "scaleway_iam_api_key" "service" {
  application_id     = scaleway_iam_application.service.id
  default_project_id = var.project_id

  lifecycle {
    create_before_destroy = true
  }
}

# The permissions of the deployer: to push images, run containers and jobs, and change bucket settings. A job of `cargo xtask run`
# gets its secrets from Secret Manager, where nothing else of this project is. It cannot delete the bucket, read media (see the
# bucket policy), change that policy, or change permissions: an administrator applies such changes. Create its key by hand, so that
# it is not in a state.
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
      "ServerlessJobsFullAccess",
      "SecretManagerFullAccess",
      "ObjectStorageReadOnly", # the only set that can read a bucket policy and not change it
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
