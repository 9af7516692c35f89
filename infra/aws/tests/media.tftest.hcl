# The bucket, the queue and the notification. The tests only plan: resources with prevent_destroy could not be destroyed after an apply.

mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = {
      id                          = "meemit-media"
      arn                         = "arn:aws:s3:::meemit-media"
      bucket_regional_domain_name = "meemit-media.s3.eu-north-1.amazonaws.com"
    }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = {
      id             = "EDFDVBD6EXAMPLE"
      arn            = "arn:aws:cloudfront::123456789012:distribution/EDFDVBD6EXAMPLE"
      domain_name    = "d111111abcdef8.cloudfront.net"
      hosted_zone_id = "Z2FDTNDATAQYW2"
    }
  }
  mock_resource "aws_iam_user" {
    defaults = { arn = "arn:aws:iam::123456789012:user/meemi/meemi-production-service" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/meemi/meemi-production-deployer" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
}

mock_provider "aws" {
  alias = "dns"
}

override_resource {
  target = aws_sqs_queue.uploads
  values = {
    id  = "https://sqs.eu-north-1.amazonaws.com/123456789012/meemi-production-uploads"
    arn = "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads"
  }
}

override_resource {
  target = aws_sqs_queue.dead_letters
  values = {
    id  = "https://sqs.eu-north-1.amazonaws.com/123456789012/meemi-production-uploads-dead"
    arn = "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads-dead"
  }
}

run "bucket_is_private" {
  command = plan

  assert {
    condition = [
      aws_s3_bucket_public_access_block.media.block_public_acls, aws_s3_bucket_public_access_block.media.block_public_policy,
      aws_s3_bucket_public_access_block.media.ignore_public_acls, aws_s3_bucket_public_access_block.media.restrict_public_buckets,
    ] == [true, true, true, true]
    error_message = "The public access block does not block everything."
  }
  assert {
    condition     = one(aws_s3_bucket_ownership_controls.media.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs are enabled."
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.media.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Objects are not encrypted."
  }
  assert {
    condition     = !aws_s3_bucket.media.force_destroy && aws_s3_bucket.media.bucket == "meemit-media"
    error_message = "The bucket has another name, or force_destroy is set."
  }
}

run "data_cannot_be_destroyed" {
  command = plan

  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/media.tf"))) == 1
    error_message = "The bucket and its objects could be destroyed."
  }
  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/queue.tf"))) == 2
    error_message = "The queues and their messages could be destroyed."
  }
}

run "versioning_and_lifecycle" {
  command = plan

  assert {
    condition     = one(aws_s3_bucket_versioning.media.versioning_configuration).status == "Enabled"
    error_message = "Deleted objects could not be restored."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 1 && aws_s3_bucket_lifecycle_configuration.media.rule[0].status == "Enabled"
    error_message = "Incomplete multipart uploads are not removed, and cost money."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "Old versions are not kept for undelete_days."
  }
  assert {
    condition     = alltrue(flatten([for rule in aws_s3_bucket_lifecycle_configuration.media.rule : [for expiration in rule.expiration : expiration.expired_object_delete_marker]]))
    error_message = "A lifecycle rule removes current objects."
  }
}

run "only_allowed_origins_upload" {
  command = plan

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.media.cors_rule).allowed_origins == toset(["https://meemit.example.org"]) && one(aws_s3_bucket_cors_configuration.media.cors_rule).allowed_methods == toset(["PUT"])
    error_message = "Other origins or methods than PUT are allowed."
  }
  assert {
    condition     = contains(one(aws_s3_bucket_cors_configuration.media.cors_rule).allowed_headers, "Content-Type")
    error_message = "Browsers could not send the signed Content-Type header."
  }
}

run "bucket_policy" {
  command = plan

  assert {
    condition = jsondecode(aws_s3_bucket_policy.media.policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "OnlyByTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = ["arn:aws:s3:::meemit-media", "arn:aws:s3:::meemit-media/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "DeliveryReads"
          Effect    = "Allow"
          Principal = { Service = "cloudfront.amazonaws.com" }
          Action    = "s3:GetObject"
          Resource  = ["arn:aws:s3:::meemit-media/clipboard/*", "arn:aws:s3:::meemit-media/public/*", "arn:aws:s3:::meemit-media/thumbs/*", "arn:aws:s3:::meemit-media/uploads/*"]
          Condition = { StringEquals = { "aws:SourceArn" = "arn:aws:cloudfront::123456789012:distribution/EDFDVBD6EXAMPLE" } }
        },
      ]
    }
    error_message = "The bucket policy must only deny requests without TLS and allow this distribution to read media."
  }
}

run "queue" {
  command = plan

  assert {
    condition     = aws_sqs_queue.uploads.name == "meemi-production-uploads" && aws_sqs_queue.dead_letters.name == "meemi-production-uploads-dead"
    error_message = "The queues have wrong names."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.uploads.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads-dead", maxReceiveCount = 5 }
    error_message = "Messages do not move to the dead-letter queue after five receives."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads"] }
    error_message = "Other queues could use this dead-letter queue."
  }
  assert {
    condition     = aws_sqs_queue.uploads.receive_wait_time_seconds == 20 && aws_sqs_queue.uploads.visibility_timeout_seconds == 120
    error_message = "The queue does not use long polling, or has another visibility timeout."
  }
  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds > aws_sqs_queue.uploads.message_retention_seconds
    error_message = "Messages would expire in the dead-letter queue right after they arrive."
  }
  assert {
    condition     = aws_sqs_queue.uploads.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "Messages are not encrypted."
  }
}

run "only_the_bucket_sends" {
  command = plan

  assert {
    condition     = jsondecode(aws_sqs_queue_policy.uploads.policy).Version == "2012-10-17"
    error_message = "Without this version, the provider waits forever."
  }
  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.uploads.policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "BucketTells"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::meemit-media" }
        StringEquals = { "aws:SourceAccount" = "123456789012" }
      }
    }]
    error_message = "Other principals than the bucket can send messages."
  }
  assert {
    condition     = one(aws_s3_bucket_notification.media.queue).filter_prefix == "uploads/" && one(aws_s3_bucket_notification.media.queue).events == toset(["s3:ObjectCreated:*"]) && one(aws_s3_bucket_notification.media.queue).queue_arn == aws_sqs_queue.uploads.arn
    error_message = "The bucket sends notifications for other objects than uploads, so thumbnails would trigger the worker again."
  }
}
