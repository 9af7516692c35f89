# Who may do what with media.

mock_provider "scaleway" {
  mock_resource "scaleway_container" {
    defaults = { id = "fr-par/0a000000-0000-4000-8000-000000000002" }
  }
  mock_resource "scaleway_iam_application" {
    defaults = { id = "0a000000-0000-4000-8000-000000000003" }
  }
}

# Each application has an id of its own.
override_resource {
  target = scaleway_iam_application.deployer
  values = { id = "0a000000-0000-4000-8000-000000000004" }
}

mock_provider "aws" {
  alias = "dns"
}

run "private_unless_asked" {
  command = plan

  assert {
    condition     = jsondecode(scaleway_object_bucket_policy.media.policy).Version == "2023-04-17"
    error_message = "Scaleway's language has its own version; the other one locks everybody out."
  }
  assert {
    condition     = !anytrue([for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement.Principal == "*"])
    error_message = "Everyone may do something although public is not set."
  }
  assert {
    condition     = !strcontains(scaleway_object_bucket_policy.media.policy, "\"*\"")
    error_message = "There is a wildcard by itself in the policy."
  }
  assert {
    condition     = length(output.public_prefixes) == 0
    error_message = "The output says that something is public."
  }
}

run "public_reads_media_only" {
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
      Resource  = ["meemit-media/clipboard/*", "meemit-media/thumbs/*", "meemit-media/uploads/*"]
    }]
    error_message = "Everyone may do something else than read what is under the media prefixes."
  }
}

run "public_prefix_of_choice" {
  command = plan

  variables {
    public         = true
    media_prefixes = ["thumbs/"]
  }

  assert {
    condition     = one([for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement if statement.Principal == "*"]).Resource == ["meemit-media/thumbs/*"]
    error_message = "More is public than the prefix that was named."
  }
}

run "service_has_media_and_no_more" {
  command = plan

  assert {
    condition = toset(flatten([
      for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement.Action
      if try(statement.Principal.SCW == "application_id:0a000000-0000-4000-8000-000000000003", false)
      ])) == toset([
      "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
      "s3:ListBucket", "s3:ListBucketMultipartUploads",
    ])
    error_message = "The service may do something else in the bucket than what it does."
  }
  assert {
    condition     = one(scaleway_iam_policy.service.rule).permission_set_names == toset(["ObjectStorageBucketsRead", "ObjectStorageObjectsRead", "ObjectStorageObjectsWrite", "ObjectStorageObjectsDelete"])
    error_message = "The service has other rights than those on objects."
  }
  assert {
    condition     = one(scaleway_iam_policy.service.rule).project_ids == tolist(["11111111-2222-4333-8444-555555555555"]) && one(scaleway_iam_policy.service.rule).organization_id == null
    error_message = "The service has rights beyond its project."
  }
  assert {
    condition     = scaleway_iam_policy.service.application_id == scaleway_iam_application.service.id && scaleway_iam_api_key.service.application_id == scaleway_iam_application.service.id
    error_message = "The service's key is somebody else's."
  }
}

run "administrators_keep_the_bucket_and_read_nothing" {
  command = plan

  assert {
    condition = one([for statement in jsondecode(scaleway_object_bucket_policy.media.policy).Statement : statement if statement.Sid == "AdministratorsSettings"]) == {
      Sid       = "AdministratorsSettings"
      Effect    = "Allow"
      Principal = { SCW = ["application_id:0a000000-0000-4000-8000-000000000004", "application_id:aaaaaaaa-2222-4333-8444-555555555555", "user_id:bbbbbbbb-2222-4333-8444-555555555555"] }
      Action    = ["s3:*"]
      Resource  = ["meemit-media"]
    }
    error_message = "The administrators are locked out, or may read people's media."
  }
}

run "deployer_makes_no_rights_and_removes_no_data" {
  command = plan

  assert {
    condition = {
      for rule in scaleway_iam_policy.deployer.rule : try(rule.project_ids[0], rule.organization_id) => rule.permission_set_names
      } == {
      "11111111-2222-4333-8444-555555555555" = toset(["ContainersFullAccess", "ContainerRegistryFullAccess", "ObjectStorageReadOnly", "ObjectStorageBucketsWrite"])
      "33333333-2222-4333-8444-555555555555" = toset(["ObjectStorageBucketsRead", "ObjectStorageObjectsRead", "ObjectStorageObjectsWrite", "ObjectStorageObjectsDelete"])
      "22222222-2222-4333-8444-555555555555" = toset(["IAMApplicationReadOnly", "IAMPolicyReadOnly"])
    }
    error_message = "The deployer has other rights than to run, push, and use its state."
  }
  assert {
    condition     = scaleway_iam_policy.deployer.application_id != scaleway_iam_policy.service.application_id && scaleway_iam_api_key.service.application_id != scaleway_iam_application.deployer.id
    error_message = "Service and deployer are the same."
  }
}

run "what_holds_data_stays" {
  command = plan

  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/media.tf"))) == 1
    error_message = "The bucket could be destroyed with everything in it."
  }
  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/registry.tf"))) == 1
    error_message = "The releases that a rollback needs could be destroyed."
  }
}

run "bucket" {
  command = plan

  assert {
    condition     = scaleway_object_bucket.media.name == "meemit-media" && !scaleway_object_bucket.media.force_destroy
    error_message = "Another bucket, or one that goes with everything in it."
  }
  assert {
    condition     = one(scaleway_object_bucket.media.versioning).enabled
    error_message = "What is deleted could not be brought back."
  }
  assert {
    condition     = scaleway_object_bucket.media.cors_rule[0].allowed_origins == tolist(["https://meemit.example.org"]) && length(scaleway_object_bucket.media.cors_rule) == 1
    error_message = "Other origins than the service's own."
  }
  assert {
    condition     = toset(scaleway_object_bucket.media.cors_rule[0].allowed_methods) == toset(["GET", "HEAD", "PUT"])
    error_message = "Browsers may do something else than read and upload."
  }
  assert {
    condition     = one([for rule in scaleway_object_bucket.media.lifecycle_rule : rule if rule.id == "unfinished-uploads"]).abort_incomplete_multipart_upload_days == 1
    error_message = "Unfinished uploads stay, and are paid for."
  }
  assert {
    condition     = alltrue([for rule in scaleway_object_bucket.media.lifecycle_rule : length(rule.expiration) == 0])
    error_message = "A rule removes media that somebody still has."
  }
  assert {
    condition     = one(one(scaleway_object_bucket_server_side_encryption_configuration.media.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Objects are not encrypted."
  }
}
