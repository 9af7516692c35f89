# CloudFront accepts only certificates from us-east-1.
resource "aws_acm_certificate" "media" {
  count = var.domain == null ? 0 : 1

  region            = "us-east-1"
  domain_name       = var.domain
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

# The certificate has one name, so it needs one record. A for_each over the options would have to be known in the plan.
resource "aws_route53_record" "certificate" {
  count    = var.domain == null ? 0 : 1
  provider = aws.dns

  zone_id         = var.dns_zone_id
  name            = one(aws_acm_certificate.media[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.media[0].domain_validation_options).resource_record_type
  ttl             = 300
  records         = [one(aws_acm_certificate.media[0].domain_validation_options).resource_record_value]
  allow_overwrite = true # a new certificate for the same name uses the same record
}

resource "aws_acm_certificate_validation" "media" {
  count = var.domain == null ? 0 : 1

  region                  = "us-east-1"
  certificate_arn         = aws_acm_certificate.media[0].arn
  validation_record_fqdns = [aws_route53_record.certificate[0].fqdn]
}

resource "aws_route53_record" "media" {
  for_each = var.domain == null ? toset([]) : toset(["A", "AAAA"])
  provider = aws.dns

  zone_id = var.dns_zone_id
  name    = var.domain
  type    = each.key

  alias {
    name                   = aws_cloudfront_distribution.media.domain_name
    zone_id                = aws_cloudfront_distribution.media.hosted_zone_id
    evaluate_target_health = false
  }
}
