resource "scaleway_object_bucket" "media" {
  name          = var.bucket
  project_id    = var.project_id
  region        = var.region
  force_destroy = false
  tags          = local.labels

  versioning {
    enabled = true
  }

  cors_rule {
    allowed_methods = ["GET", "HEAD", "PUT"]
    allowed_origins = length(var.allowed_origins) > 0 ? sort(var.allowed_origins) : ["https://${var.domain}"]
    allowed_headers = ["Content-Type", "If-None-Match", "Range"]
    expose_headers  = ["ETag", "Content-Length", "Content-Range"]
    max_age_seconds = 3600
  }

  lifecycle_rule {
    id                                     = "unfinished-uploads"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 1
  }

  lifecycle_rule {
    id      = "old-versions"
    enabled = true

    noncurrent_version_expiration {
      noncurrent_days = var.undelete_days
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

# These resources need project_id, too: without it, the provider rejects them outside the default project.
resource "scaleway_object_bucket_server_side_encryption_configuration" "media" {
  bucket     = scaleway_object_bucket.media.name
  project_id = var.project_id
  region     = var.region

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# A policy in Scaleway's language: an action needs an Allow here and in IAM, and Deny has no effect. So the policy must name the
# service, the deployer and the administrators even if nothing is public. Resources are names, not ARNs.
resource "scaleway_object_bucket_policy" "media" {
  bucket     = scaleway_object_bucket.media.name
  project_id = var.project_id
  region     = var.region

  policy = jsonencode({
    Version = "2023-04-17"
    Id      = "media"
    Statement = concat(
      [
        {
          Sid       = "ServiceObjects"
          Effect    = "Allow"
          Principal = { SCW = "application_id:${scaleway_iam_application.service.id}" }
          Action    = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
          Resource  = [for prefix in concat(sort(var.media_prefixes), ["private/"]) : "${var.bucket}/${prefix}*"]
        },
        {
          Sid       = "ServiceList"
          Effect    = "Allow"
          Principal = { SCW = "application_id:${scaleway_iam_application.service.id}" }
          Action    = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
          Resource  = [var.bucket]
        },
        {
          Sid       = "AdministratorsSettings"
          Effect    = "Allow"
          Principal = { SCW = concat(["application_id:${scaleway_iam_application.deployer.id}"], sort(var.bucket_admins)) }
          Action    = ["s3:*"]
          Resource  = [var.bucket]
        },
      ],
      [
        for statement in [{
          Sid       = "EveryoneRead"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:GetObject"]
          Resource  = [for prefix in sort(var.media_prefixes) : "${var.bucket}/${prefix}*"]
        }] : statement if var.public
      ],
    )
  })
}
