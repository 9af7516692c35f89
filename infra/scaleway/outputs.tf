output "url" {
  description = "Where people reach the service."
  value       = "https://${scaleway_container_domain.service.hostname}"
}

output "endpoint" {
  description = "The container's own address, which needs neither DNS nor certificate of the domain."
  value       = scaleway_container.service.public_endpoint
}

output "container_id" {
  description = "The container, as <region>/<UUID>."
  value       = scaleway_container.service.id
}

output "container_status" {
  description = "What the platform says of the container. An apply succeeds even while this is error: look at it."
  value       = scaleway_container.service.status
}

output "container_error" {
  description = "What the platform says of the container's last failure."
  value       = scaleway_container.service.error_message
}

output "image" {
  description = "The image that runs, by its digest."
  value       = scaleway_container.service.image
}

output "registry_endpoint" {
  description = "Where images are pushed to, without the image's name."
  value       = scaleway_registry_namespace.images.endpoint
}

output "bucket" {
  description = "The bucket for media."
  value       = scaleway_object_bucket.media.name
}

output "bucket_url" {
  description = "The bucket's address: the base of public media addresses."
  value       = scaleway_object_bucket.media.endpoint
}

output "public_prefixes" {
  description = "What everyone may read; nothing unless public is true."
  value       = var.public ? sort(var.media_prefixes) : []
}

output "service_application_id" {
  description = "The IAM application whose key the service has."
  value       = scaleway_iam_application.service.id
}

output "deployer_application_id" {
  description = "The IAM application that deploys; make its key by hand."
  value       = scaleway_iam_application.deployer.id
}

output "domain" {
  description = "The service's host name."
  value       = scaleway_container_domain.service.hostname
}

output "dns_record" {
  description = "The record as it was wanted, to be compared with what is answered."
  value = {
    zone_id = aws_route53_record.service.zone_id
    name    = aws_route53_record.service.name
    type    = aws_route53_record.service.type
    ttl     = aws_route53_record.service.ttl
    values  = sort(aws_route53_record.service.records)
  }
}
