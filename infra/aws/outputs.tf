output "bucket" {
  description = "The bucket for media."
  value       = aws_s3_bucket.media.id
}

output "region" {
  description = "The region of bucket and queues."
  value       = var.region
}

output "queue_url" {
  description = "The queue that the worker asks."
  value       = aws_sqs_queue.uploads.id
}

output "dead_letters_url" {
  description = "Where messages end that could not be worked on."
  value       = aws_sqs_queue.dead_letters.id
}

output "delivery_url" {
  description = "The base of download addresses; it is this address that must be signed."
  value       = "https://${coalesce(var.domain, aws_cloudfront_distribution.media.domain_name)}"
}

output "signing_key_ids" {
  description = "The key pair ids for signed addresses, by the keys' names."
  value       = { for name, key in aws_cloudfront_public_key.signing : name => key.id }
}

output "distribution_id" {
  description = "The CloudFront distribution."
  value       = aws_cloudfront_distribution.media.id
}

output "service_access_key_id" {
  description = "The service's credentials."
  value       = aws_iam_access_key.service.id
}

output "service_secret_access_key" {
  description = "The secret of the service's credentials."
  value       = aws_iam_access_key.service.secret
  sensitive   = true
}

output "deployer_role_arn" {
  description = "The role that the deploy workflow assumes."
  value       = aws_iam_role.deployer.arn
}
