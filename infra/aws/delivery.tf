# The text of a key cannot be changed, so a new text creates a new key. The old key is removed from the group before it is deleted.
resource "aws_cloudfront_public_key" "signing" {
  for_each = var.signing_public_keys

  name        = "${local.name}-${each.key}"
  comment     = "Signs download addresses of ${local.name}"
  encoded_key = "${trimspace(each.value)}\n" # CloudFront adds the newline; without it, every plan would show a change

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudfront_key_group" "signing" {
  name    = "${local.name}-signing"
  comment = "Who may sign download addresses of ${local.name}"
  items   = [for key in aws_cloudfront_public_key.signing : key.id]
}

resource "aws_cloudfront_origin_access_control" "media" {
  name                              = "${local.name}-media"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

locals {
  # Managed-CachingOptimized, which has the same id in every account. The signature is in the query string, and this policy's
  # cache key does not contain the query string: all signed URLs of an object share one cached copy.
  caching_optimized = "658327ea-f89d-4fab-a63d-7e88639e58f6"
}

resource "aws_cloudfront_response_headers_policy" "media" {
  name    = "${local.name}-media"
  comment = "Which pages may read media of ${local.name}"

  cors_config {
    access_control_allow_credentials = false
    access_control_max_age_sec       = 3600
    origin_override                  = true

    access_control_allow_headers {
      items = ["Range"]
    }
    access_control_allow_methods {
      items = ["GET", "HEAD", "OPTIONS"]
    }
    access_control_allow_origins {
      items = var.allowed_origins
    }
    access_control_expose_headers {
      items = ["Content-Length", "Content-Range", "ETag"]
    }
  }

  security_headers_config {
    content_type_options {
      override = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }
}

resource "aws_cloudfront_distribution" "media" {
  comment             = "Media of ${local.name}, by signed addresses"
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = "PriceClass_100" # Europe and North America
  aliases             = var.domain == null ? [] : [var.domain]
  wait_for_deployment = true

  origin {
    origin_id                = "media"
    domain_name              = aws_s3_bucket.media.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.media.id
  }

  default_cache_behavior {
    target_origin_id           = "media"
    trusted_key_groups         = [aws_cloudfront_key_group.signing.id]
    viewer_protocol_policy     = "https-only"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = local.caching_optimized
    response_headers_policy_id = aws_cloudfront_response_headers_policy.media.id
    compress                   = false # pictures and videos are already compressed
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = one(aws_acm_certificate_validation.media[*].certificate_arn)
    minimum_protocol_version       = var.domain == null ? null : "TLSv1.2_2021"
    ssl_support_method             = var.domain == null ? null : "sni-only"
  }
}
