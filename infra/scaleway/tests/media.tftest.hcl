# Permissions for media.

mock_provider "scaleway" {
  mock_resource "scaleway_container" {
    defaults = { id = "fr-par/0a000000-0000-4000-8000-000000000002" }
  }
  mock_resource "scaleway_iam_application" {
    defaults = { id = "0a000000-0000-4000-8000-000000000003" }
  }
}

# Each application needs a different id.
override_resource {
  target = scaleway_iam_application.deployer
  values = { id = "0a000000-0000-4000-8000-000000000004" }
}

mock_provider "aws" {
  alias = "dns"
}

run "private_by_default" {
  command = plan

  assert {
    condition     = jsondecode(scaleway_object_bucket_policy.media.policy).Version == "2023-04-17"
    error_message = "The version is not that of Scaleway's policy language. With another version, all access is denied."
  }
  assert {
    condition     = !anytrue([for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement.Principal == "*"])
    error_message = "The policy has a statement for everyone although public is not set."
  }
  assert {
    condition     = !strcontains(scaleway_object_bucket_policy.media.policy, "\"*\"")
    error_message = "The policy contains the wildcard *."
  }
  assert {
    condition     = length(output.public_prefixes) == 0
    error_message = "public_prefixes is not empty although public is not set."
  }
}

run "public_can_only_read_media" {
  command = plan

  variables {
    public = true
  }

  assert {
    condition = [for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement if statement.Principal == "*"] == [{
      Sid       = "EveryoneRead"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject"]
      Resource  = ["meemit-media/clipboard/*", "meemit-media/public/*", "meemit-media/thumbs/*", "meemit-media/uploads/*"]
    }]
    error_message = "Everyone has other permissions than to read objects under the media prefixes."
  }
}

run "public_with_custom_prefixes" {
  command = plan

  variables {
    public         = true
    media_prefixes = ["thumbs/"]
  }

  assert {
    condition     = one([for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement if statement.Principal == "*"]).Resource == ["meemit-media/thumbs/*"]
    error_message = "Other prefixes than the configured one are public."
  }
}

run "service_permissions" {
  command = plan

  assert {
    condition = toset(flatten([
      for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement.Action
      if try(statement.Principal.SCW == "application_id:0a000000-0000-4000-8000-000000000003", false)
      ])) == toset([
      "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
      "s3:ListBucket", "s3:ListBucketMultipartUploads",
    ])
    error_message = "The bucket policy gives the service other permissions than it needs."
  }
  assert {
    condition     = one(scaleway_iam_policy.service.rule).permission_set_names == toset(["ObjectStorageBucketsRead", "ObjectStorageObjectsRead", "ObjectStorageObjectsWrite", "ObjectStorageObjectsDelete"])
    error_message = "The service has other permissions than those for objects."
  }
  assert {
    condition     = one(scaleway_iam_policy.service.rule).project_ids == tolist(["11111111-2222-4333-8444-555555555555"]) && one(scaleway_iam_policy.service.rule).organization_id == null
    error_message = "The service has permissions outside its project."
  }
  assert {
    condition     = scaleway_iam_policy.service.application_id == scaleway_iam_application.service.id && scaleway_iam_api_key.service.application_id == scaleway_iam_application.service.id
    error_message = "The API key or the policy belongs to another application."
  }
}

run "administrators_can_change_settings_only" {
  command = plan

  assert {
    condition = one([for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement if statement.Sid == "AdministratorsSettings"]) == {
      Sid       = "AdministratorsSettings"
      Effect    = "Allow"
      Principal = { SCW = ["application_id:0a000000-0000-4000-8000-000000000004", "application_id:aaaaaaaa-2222-4333-8444-555555555555", "user_id:bbbbbbbb-2222-4333-8444-555555555555"] }
      Action    = ["s3:*"]
      Resource  = ["meemit-media"]
    }
    error_message = "The administrators have no access to the bucket, or can read media."
  }
}

run "deployer_cannot_change_permissions_or_delete_data" {
  command = plan

  assert {
    condition = {
      for rule in scaleway_iam_policy.deployer.rule : try(rule.project_ids[0], rule.organization_id) => rule.permission_set_names
      } == {
      "11111111-2222-4333-8444-555555555555" = toset(["ContainersFullAccess", "ContainerRegistryFullAccess", "ServerlessJobsFullAccess", "SecretManagerFullAccess", "ObjectStorageReadOnly", "ObjectStorageBucketsWrite"])
      "33333333-2222-4333-8444-555555555555" = toset(["ObjectStorageBucketsRead", "ObjectStorageObjectsRead", "ObjectStorageObjectsWrite", "ObjectStorageObjectsDelete"])
      "22222222-2222-4333-8444-555555555555" = toset(["IAMApplicationReadOnly", "IAMPolicyReadOnly"])
    }
    error_message = "The deployer has other permissions than those for containers, images, jobs and their secrets, bucket settings and its state."
  }
  assert {
    condition     = scaleway_iam_policy.deployer.application_id != scaleway_iam_policy.service.application_id && scaleway_iam_api_key.service.application_id != scaleway_iam_application.deployer.id
    error_message = "The service and the deployer use the same application."
  }
}

run "data_cannot_be_destroyed" {
  command = plan

  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/media.tf"))) == 1
    error_message = "The bucket and its objects could be destroyed."
  }
  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/registry.tf"))) == 1
    error_message = "The registry namespace and its releases could be destroyed."
  }
}

run "bucket" {
  command = plan

  assert {
    condition     = scaleway_object_bucket.media.name == "meemit-media" && !scaleway_object_bucket.media.force_destroy
    error_message = "The bucket has another name, or force_destroy is set."
  }
  assert {
    condition     = one(scaleway_object_bucket.media.versioning).enabled
    error_message = "Deleted objects could not be restored."
  }
  assert {
    condition     = scaleway_object_bucket.media.cors_rule[0].allowed_origins == tolist(["https://meemit.example.org"]) && length(scaleway_object_bucket.media.cors_rule) == 1
    error_message = "CORS allows other origins than the service's own."
  }
  assert {
    condition     = toset(scaleway_object_bucket.media.cors_rule[0].allowed_methods) == toset(["GET", "HEAD", "PUT"])
    error_message = "CORS allows other methods than GET, HEAD and PUT."
  }
  assert {
    condition     = one([for rule in scaleway_object_bucket.media.lifecycle_rule : rule if rule.id == "unfinished-uploads"]).abort_incomplete_multipart_upload_days == 1
    error_message = "Incomplete multipart uploads are not removed, and cost money."
  }
  assert {
    condition     = alltrue([for rule in scaleway_object_bucket.media.lifecycle_rule : length(rule.expiration) == 0])
    error_message = "A lifecycle rule removes current objects."
  }
  assert {
    condition     = one(one(scaleway_object_bucket_server_side_encryption_configuration.media.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Objects are not encrypted."
  }
}
