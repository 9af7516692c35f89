output "bucket" {
  description = "The name of the media bucket."
  value       = aws_s3_bucket.media.id
}

output "region" {
  description = "The region of the bucket and the queues."
  value       = var.region
}

output "queue_url" {
  description = "The URL of the queue that the worker polls."
  value       = aws_sqs_queue.uploads.id
}

output "dead_letters_url" {
  description = "The URL of the dead-letter queue, which holds the messages that the worker could not process."
  value       = aws_sqs_queue.dead_letters.id
}

output "delivery_url" {
  description = "The base of download URLs. The signature must cover this URL."
  value       = "https://${coalesce(var.domain, aws_cloudfront_distribution.media.domain_name)}"
}

output "signing_key_ids" {
  description = "The key pair ids for signed URLs, by key name."
  value       = { for name, key in aws_cloudfront_public_key.signing : name => key.id }
}

output "distribution_id" {
  description = "The id of the CloudFront distribution."
  value       = aws_cloudfront_distribution.media.id
}

output "service_access_key_id" {
  description = "The access key id of the service."
  value       = aws_iam_access_key.service.id
}

output "service_secret_access_key" {
  description = "The secret access key of the service."
  value       = aws_iam_access_key.service.secret
  sensitive   = true
}

output "deployer_role_arn" {
  description = "The ARN of the role that the deploy workflow assumes."
  value       = aws_iam_role.deployer.arn
}
