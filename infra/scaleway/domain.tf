resource "aws_route53_record" "service" {
  provider = aws.dns

  zone_id = var.dns_zone_id
  name    = var.domain
  type    = "CNAME"
  ttl     = 300
  records = [trimprefix(scaleway_container.service.public_endpoint, "https://")]
}

# Without this, the platform responds with 404 on the domain. The platform checks the CNAME, so the record must exist first. It
# then requests the certificate, which takes minutes. The provider does not tell whether that succeeded: a domain whose status is
# error passes the apply, and the next plan. `tofu plan` and `tofu apply` of the toolkit ask the platform's API.
resource "scaleway_container_domain" "service" {
  container_id = scaleway_container.service.id
  hostname     = var.domain
  region       = var.region

  depends_on = [aws_route53_record.service]
}
