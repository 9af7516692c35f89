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

# Children need the project too: in any other than the default one they are refused without it.
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

# Scaleway's own language: only what is allowed here is allowed, to those whom IAM allows it as well, and Deny says nothing.
# So the service, the deployer and the administrators must be named, even while nothing is public. Resources are names, not ARNs.
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
          Resource  = [for prefix in sort(var.media_prefixes) : "${var.bucket}/${prefix}*"]
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
