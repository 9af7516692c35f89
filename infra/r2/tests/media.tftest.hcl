# The bucket and who reaches it. Plans only: what has prevent_destroy could not be removed after an apply.

mock_provider "cloudflare" {}

run "private_unless_asked" {
  command = plan

  assert {
    condition     = length(cloudflare_r2_custom_domain.media) == 0 && output.public_url == null
    error_message = "The bucket has a domain, so everyone may read it, although public is not set."
  }
  assert {
    condition     = !cloudflare_r2_managed_domain.media.enabled
    error_message = "The bucket can be read below r2.dev."
  }
}

run "public_by_the_domain_only" {
  command = plan

  variables {
    public  = true
    domain  = "cdn.example.org"
    zone_id = "fedcba9876543210fedcba9876543210"
  }

  assert {
    condition     = cloudflare_r2_custom_domain.media[0].domain == "cdn.example.org" && cloudflare_r2_custom_domain.media[0].enabled && cloudflare_r2_custom_domain.media[0].bucket_name == "meemit-media"
    error_message = "The domain does not lead to the bucket."
  }
  assert {
    condition     = cloudflare_r2_custom_domain.media[0].min_tls == "1.2"
    error_message = "An old TLS."
  }
  assert {
    condition     = !cloudflare_r2_managed_domain.media.enabled
    error_message = "The bucket can be read below r2.dev too."
  }
  assert {
    condition     = output.public_url == "https://cdn.example.org"
    error_message = "Another base of public addresses."
  }
}

run "what_holds_data_stays" {
  command = plan

  assert {
    condition     = length(regexall("prevent_destroy = true", file("${path.module}/media.tf"))) == 1
    error_message = "The bucket could be destroyed with everything in it."
  }
}

run "browsers_from_the_service_only" {
  command = plan

  assert {
    condition     = one(cloudflare_r2_bucket_cors.media.rules).allowed.origins == tolist(["https://meemit.example.org"]) && toset(one(cloudflare_r2_bucket_cors.media.rules).allowed.methods) == toset(["GET", "HEAD", "PUT"])
    error_message = "Other pages may use the bucket, or do something else."
  }
  assert {
    condition     = contains(one(cloudflare_r2_bucket_cors.media.rules).allowed.headers, "Content-Type")
    error_message = "The signed content type could not be sent."
  }
}

run "only_unfinished_uploads_go" {
  command = plan

  assert {
    condition     = one(cloudflare_r2_bucket_lifecycle.media.rules).abort_multipart_uploads_transition.condition.max_age == 86400 && one(cloudflare_r2_bucket_lifecycle.media.rules).enabled
    error_message = "Unfinished uploads stay, and are paid for."
  }
  assert {
    condition     = one(cloudflare_r2_bucket_lifecycle.media.rules).delete_objects_transition == null
    error_message = "A rule removes media that somebody still has."
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
    error_message = "A part looks for the bucket in another jurisdiction and would not find it."
  }
  assert {
    condition     = output.endpoint == "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com"
    error_message = "Another jurisdiction's endpoint."
  }
}

run "endpoint" {
  command = plan

  assert {
    condition     = output.endpoint == "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com" && output.region == "auto"
    error_message = "Another endpoint or region than R2's."
  }
}
