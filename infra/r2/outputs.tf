output "bucket" {
  description = "The bucket for media."
  value       = cloudflare_r2_bucket.media.name
}

output "endpoint" {
  description = "The S3 endpoint; presigned addresses work on this name only."
  value       = "https://${var.account_id}.${var.jurisdiction == "default" ? "" : "${var.jurisdiction}."}r2.cloudflarestorage.com"
}

output "region" {
  description = "R2's only region."
  value       = "auto"
}

output "public_url" {
  description = "The base of public media addresses; null unless public is true."
  value       = var.public ? "https://${cloudflare_r2_custom_domain.media[0].domain}" : null
}
