# The bucket and its domains. The tests only plan: resources with prevent_destroy could not be destroyed after an apply.

mock_provider "cloudflare" {}

run "private_by_default" {
  command = plan

  assert {
    condition     = length(cloudflare_r2_custom_domain.media) == 0 && output.public_url == null
    error_message = "The bucket has a custom domain, which makes it public, although public is not set."
  }
  assert {
    condition     = !cloudflare_r2_managed_domain.media.enabled
    error_message = "The bucket is public on r2.dev."
  }
}

run "public_only_through_the_domain" {
  command = plan

  variables {
    public  = true
    domain  = "cdn.example.org"
    zone_id = "fedcba9876543210fedcba9876543210"
  }

  assert {
    condition     = cloudflare_r2_custom_domain.media[0].domain == "cdn.example.org" && cloudflare_r2_custom_domain.media[0].enabled && cloudflare_r2_custom_domain.media[0].bucket_name == "meemit-media"
    error_message = "The domain does not point to the bucket."
  }
  assert {
    condition     = cloudflare_r2_custom_domain.media[0].min_tls == "1.2"
    error_message = "The minimum TLS version is not 1.2."
  }
  assert {
    condition     = !cloudflare_r2_managed_domain.media.enabled
    error_message = "The bucket is also public on r2.dev."
  }
  assert {
    condition     = output.public_url == "https://cdn.example.org"
    error_message = "public_url is wrong."
  }
}

run "data_cannot_be_destroyed" {
  command = plan

  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/media.tf"))) == 1
    error_message = "The bucket and its objects could be destroyed."
  }
}

run "only_allowed_origins" {
  command = plan

  assert {
    condition     = one(cloudflare_r2_bucket_cors.media.rules).allowed.origins == tolist(["https://meemit.example.org"]) && toset(one(cloudflare_r2_bucket_cors.media.rules).allowed.methods) == toset(["GET", "HEAD", "PUT"])
    error_message = "CORS allows other origins or methods."
  }
  assert {
    condition     = contains(one(cloudflare_r2_bucket_cors.media.rules).allowed.headers, "Content-Type")
    error_message = "Browsers could not send the signed Content-Type header."
  }
}

run "only_incomplete_uploads_expire" {
  command = plan

  assert {
    condition     = one(cloudflare_r2_bucket_lifecycle.media.rules).abort_multipart_uploads_transition.condition.max_age == 86400 && one(cloudflare_r2_bucket_lifecycle.media.rules).enabled
    error_message = "Incomplete multipart uploads are not removed, and cost money."
  }
  assert {
    condition     = one(cloudflare_r2_bucket_lifecycle.media.rules).delete_objects_transition == null
    error_message = "A lifecycle rule removes current objects."
  }
}

run "jurisdiction" {
  command = plan

  variables {
    jurisdiction = "eu"
  }

  assert {
    condition = [
      cloudflare_r2_bucket.media.jurisdiction, cloudflare_r2_bucket_cors.media.jurisdiction,
      cloudflare_r2_bucket_lifecycle.media.jurisdiction, cloudflare_r2_managed_domain.media.jurisdiction,
    ] == ["eu", "eu", "eu", "eu"]
    error_message = "A resource uses another jurisdiction and would not find the bucket."
  }
  assert {
    condition     = output.endpoint == "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com"
    error_message = "The endpoint is not in the jurisdiction."
  }
}

run "endpoint" {
  command = plan

  assert {
    condition     = output.endpoint == "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com" && output.region == "auto"
    error_message = "The endpoint or region is wrong."
  }
}
