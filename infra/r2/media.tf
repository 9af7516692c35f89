# R2 has no versioning: deleted objects cannot be restored.
resource "cloudflare_r2_bucket" "media" {
  account_id    = var.account_id
  name          = var.bucket
  jurisdiction  = var.jurisdiction
  storage_class = "Standard"

  lifecycle {
    prevent_destroy = true

    # The provider plans a change of the jurisdiction as an update in place, which prevent_destroy does not stop. A bucket
    # cannot move, and in another jurisdiction the API would not find it.
    precondition {
      condition     = terraform_data.jurisdiction.output == var.jurisdiction
      error_message = "jurisdiction must stay ${terraform_data.jurisdiction.output}: a bucket cannot move to another one. For a bucket there, use an environment of its own, and copy the objects."
    }
  }
}

# Remembers the jurisdiction in which the bucket was created.
resource "terraform_data" "jurisdiction" {
  input = var.jurisdiction

  lifecycle {
    ignore_changes = [input]
  }
}

# Browsers upload directly to this bucket with presigned URLs.
resource "cloudflare_r2_bucket_cors" "media" {
  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.media.name
  jurisdiction = var.jurisdiction

  rules = [{
    id = "service"
    allowed = {
      methods = ["GET", "HEAD", "PUT"]
      origins = sort(var.allowed_origins)
      headers = ["Content-Type", "If-None-Match", "Range"]
    }
    expose_headers  = ["ETag", "Content-Length", "Content-Range"]
    max_age_seconds = 3600
  }]
}

resource "cloudflare_r2_bucket_lifecycle" "media" {
  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.media.name
  jurisdiction = var.jurisdiction

  rules = [{
    id         = "unfinished-uploads"
    enabled    = true
    conditions = { prefix = "" }
    abort_multipart_uploads_transition = {
      condition = {
        type    = "Age"
        max_age = 86400 # seconds
      }
    }
  }]
}

# The r2.dev subdomain would be a second public URL. The provider does not read its state again, so OpenTofu does not see that it
# was enabled by hand: `tofu plan` and `tofu apply` of the toolkit ask Cloudflare's API.
resource "cloudflare_r2_managed_domain" "media" {
  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.media.name
  jurisdiction = var.jurisdiction
  enabled      = false
}

# A custom domain makes the whole bucket public: R2 has no bucket policies and no public prefixes.
resource "cloudflare_r2_custom_domain" "media" {
  count = var.public ? 1 : 0

  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.media.name
  jurisdiction = var.jurisdiction
  domain       = var.domain
  zone_id      = var.zone_id
  enabled      = true
  min_tls      = "1.2"
}
