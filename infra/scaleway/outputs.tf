output "url" {
  description = "The public URL of the service."
  value       = "https://${scaleway_container_domain.service.hostname}"
}

output "endpoint" {
  description = "The container's own URL, which works without the domain's DNS record and certificate."
  value       = scaleway_container.service.public_endpoint
}

output "container_id" {
  description = "The id of the container, <region>/<UUID>."
  value       = scaleway_container.service.id
}

output "container_status" {
  description = "The container's status. An apply succeeds even if it is error."
  value       = scaleway_container.service.status
}

output "container_error" {
  description = "The error message of the container's last failure."
  value       = scaleway_container.service.error_message
}

output "image" {
  description = "The running image, with its digest."
  value       = scaleway_container.service.image
}

output "registry_endpoint" {
  description = "The registry endpoint for pushing images, without the image name."
  value       = scaleway_registry_namespace.images.endpoint
}

output "bucket" {
  description = "The name of the media bucket."
  value       = scaleway_object_bucket.media.name
}

output "bucket_url" {
  description = "The URL of the bucket, which is the base of public media URLs."
  value       = scaleway_object_bucket.media.endpoint
}

output "public_prefixes" {
  description = "The prefixes that everyone can read. Empty unless public is true."
  value       = var.public ? sort(var.media_prefixes) : []
}

output "service_application_id" {
  description = "The id of the service's IAM application."
  value       = scaleway_iam_application.service.id
}

output "deployer_application_id" {
  description = "The id of the deployer's IAM application. Create its key by hand."
  value       = scaleway_iam_application.deployer.id
}

output "domain" {
  description = "The service's host name."
  value       = scaleway_container_domain.service.hostname
}

output "dns_record" {
  description = "The configured DNS record, for comparison with the responses of name servers."
  value = {
    zone_id = aws_route53_record.service.zone_id
    name    = aws_route53_record.service.name
    type    = aws_route53_record.service.type
    ttl     = aws_route53_record.service.ttl
    values  = sort(aws_route53_record.service.records)
  }
}
