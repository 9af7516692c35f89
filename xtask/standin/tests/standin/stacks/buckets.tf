resource "scaleway_object_bucket" "media" {
  name = "scaleway-media"
  tags = { project = "media" }
  versioning {
    enabled = true
  }
  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://media.example.org"]
    allowed_headers = ["Content-Type"]
    max_age_seconds = 300
  }
  lifecycle_rule {
    id                                     = "unfinished"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 1
  }
  lifecycle_rule {
    id      = "old"
    enabled = true
    prefix  = "media/"
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }
}

resource "scaleway_object_bucket_policy" "media" {
  bucket = scaleway_object_bucket.media.id
  policy = jsonencode({
    Version = "2023-04-17"
    Statement = [
      { Effect = "Allow", Principal = { SCW = "application_id:11111111-1111-4111-8111-111111111111" }, Action = ["s3:*"], Resource = ["scaleway-media"] },
      { Effect = "Allow", Principal = "*", Action = ["s3:GetObject"], Resource = ["scaleway-media/media/*"] },
    ]
  })
}

resource "scaleway_object_bucket_acl" "media" {
  bucket = scaleway_object_bucket.media.id
  acl    = "private"
}

resource "aws_s3_bucket" "media" {
  bucket = "aws-media"
  tags   = { project = "media" }
}

resource "aws_s3_bucket_versioning" "media" {
  bucket = aws_s3_bucket.media.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_cors_configuration" "media" {
  bucket = aws_s3_bucket.media.id
  cors_rule {
    allowed_methods = ["GET"]
    allowed_origins = ["https://media.example.org"]
  }
}

resource "aws_s3_bucket_policy" "media" {
  bucket = aws_s3_bucket.media.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = "*", Action = "s3:GetObject", Resource = "${aws_s3_bucket.media.arn}/media/*" }]
  })
}

resource "aws_s3_bucket_public_access_block" "media" {
  bucket            = aws_s3_bucket.media.id
  block_public_acls = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "media" {
  bucket = aws_s3_bucket.media.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "media" {
  bucket = aws_s3_bucket.media.id
  rule {
    id     = "old"
    status = "Enabled"
    filter {
      prefix = "media/"
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }
}

resource "cloudflare_r2_bucket" "media" {
  account_id = "0123456789abcdef0123456789abcdef"
  name       = "r2-media"
}

resource "cloudflare_r2_bucket_cors" "media" {
  account_id  = "0123456789abcdef0123456789abcdef"
  bucket_name = cloudflare_r2_bucket.media.name
  rules       = [{ allowed = { methods = ["GET"], origins = ["https://media.example.org"] }, max_age_seconds = 60 }]
}

resource "cloudflare_r2_bucket_lifecycle" "media" {
  account_id  = "0123456789abcdef0123456789abcdef"
  bucket_name = cloudflare_r2_bucket.media.name
  rules = [{
    id         = "unfinished"
    enabled    = true
    conditions = { prefix = "" }
    abort_multipart_uploads_transition = { condition = { type = "Age", max_age = 86400 } }
  }]
}
