# Delivery with signed URLs, with and without a domain.

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
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:us-east-1:123456789012:certificate/0a000000-0000-4000-8000-000000000001"
      domain_validation_options = [{
        domain_name           = "cdn.example.org"
        resource_record_name  = "_a79865eb4cd1a6ab990a45779b4e0b96.cdn.example.org."
        resource_record_type  = "CNAME"
        resource_record_value = "_424c7224e9b0146f9a8808af955727d0.acm-validations.aws."
      }]
    }
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

run "only_signed_urls" {
  command = plan

  assert {
    condition     = aws_cloudfront_distribution.media.default_cache_behavior[0].trusted_key_groups == tolist([aws_cloudfront_key_group.signing.id]) && length(aws_cloudfront_distribution.media.ordered_cache_behavior) == 0
    error_message = "Media can be downloaded without a signature."
  }
  assert {
    condition     = aws_cloudfront_distribution.media.default_cache_behavior[0].viewer_protocol_policy == "https-only"
    error_message = "Signed URLs work without TLS."
  }
  assert {
    condition     = aws_cloudfront_distribution.media.default_cache_behavior[0].allowed_methods == toset(["GET", "HEAD", "OPTIONS"])
    error_message = "CloudFront forwards other methods than GET, HEAD and OPTIONS."
  }
  assert {
    condition     = aws_cloudfront_distribution.media.default_cache_behavior[0].cache_policy_id == "658327ea-f89d-4fab-a63d-7e88639e58f6"
    error_message = "The cache policy is not CachingOptimized. With the query string in the cache key, each signature has its own cached copy."
  }
  assert {
    condition     = one(aws_cloudfront_distribution.media.origin).origin_access_control_id == aws_cloudfront_origin_access_control.media.id && one(aws_cloudfront_distribution.media.origin).domain_name == "meemit-media.s3.eu-north-1.amazonaws.com"
    error_message = "CloudFront does not sign its requests, or the origin is another bucket."
  }
  assert {
    condition     = [aws_cloudfront_origin_access_control.media.origin_access_control_origin_type, aws_cloudfront_origin_access_control.media.signing_behavior, aws_cloudfront_origin_access_control.media.signing_protocol] == ["s3", "always", "sigv4"]
    error_message = "The bucket policy would reject requests of CloudFront."
  }
}

run "keys" {
  command = plan

  variables {
    signing_public_keys = { first = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----" }
  }

  assert {
    condition     = aws_cloudfront_public_key.signing["first"].encoded_key == "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----\n"
    error_message = "The key does not end with exactly one newline, so every plan would replace it."
  }
  assert {
    condition     = length(aws_cloudfront_key_group.signing.items) == 1 && keys(output.signing_key_ids) == ["first"]
    error_message = "The key group has other keys than signing_public_keys."
  }
}

run "without_a_domain" {
  command = plan

  assert {
    condition     = one(aws_cloudfront_distribution.media.viewer_certificate).cloudfront_default_certificate && length(aws_cloudfront_distribution.media.aliases) == 0
    error_message = "The distribution does not use CloudFront's default name and certificate."
  }
  assert {
    condition     = length(aws_acm_certificate.media) == 0 && length(aws_route53_record.media) == 0 && length(aws_route53_record.certificate) == 0
    error_message = "The stack changes DNS although domain is not set."
  }
  assert {
    condition     = output.delivery_url == "https://d111111abcdef8.cloudfront.net"
    error_message = "delivery_url is wrong."
  }
}

run "with_a_domain" {
  command = plan

  variables {
    domain                = "cdn.example.org"
    dns_zone_id           = "Z0123456789ABC"
    dns_access_key_id     = "dns-key-id"
    dns_secret_access_key = "dns-secret"
  }

  assert {
    condition     = aws_acm_certificate.media[0].region == "us-east-1" && aws_acm_certificate.media[0].validation_method == "DNS"
    error_message = "CloudFront would reject the certificate."
  }
  assert {
    condition     = aws_route53_record.certificate[0].name == "_a79865eb4cd1a6ab990a45779b4e0b96.cdn.example.org." && one(aws_route53_record.certificate[0].records) == "_424c7224e9b0146f9a8808af955727d0.acm-validations.aws."
    error_message = "The record is not the certificate's validation record."
  }
  assert {
    condition     = toset(keys(aws_route53_record.media)) == toset(["A", "AAAA"]) && alltrue([for record in aws_route53_record.media : one(record.alias).name == "d111111abcdef8.cloudfront.net" && record.zone_id == "Z0123456789ABC"])
    error_message = "The domain does not point to the distribution over IPv4 and IPv6."
  }
  assert {
    condition     = one(aws_cloudfront_distribution.media.viewer_certificate).minimum_protocol_version == "TLSv1.2_2021" && one(aws_cloudfront_distribution.media.viewer_certificate).ssl_support_method == "sni-only" && aws_cloudfront_distribution.media.aliases == toset(["cdn.example.org"])
    error_message = "The minimum TLS version is not 1.2, or the alias is not the domain."
  }
  assert {
    condition     = output.delivery_url == "https://cdn.example.org"
    error_message = "delivery_url is wrong."
  }
}

run "cors_and_security_headers" {
  command = plan

  assert {
    condition     = one(one(aws_cloudfront_response_headers_policy.media.cors_config).access_control_allow_origins).items == toset(["https://meemit.example.org"]) && !one(aws_cloudfront_response_headers_policy.media.cors_config).access_control_allow_credentials
    error_message = "Other origins can read media."
  }
  assert {
    condition     = one(one(aws_cloudfront_response_headers_policy.media.security_headers_config).content_type_options).override
    error_message = "Browsers can sniff a different content type than the validated one."
  }
}
