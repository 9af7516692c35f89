output "bucket" {
  description = "The name of the media bucket."
  value       = cloudflare_r2_bucket.media.name
}

output "endpoint" {
  description = "The S3 endpoint. Presigned URLs work only on this host."
  value       = "https://${var.account_id}.${var.jurisdiction == "default" ? "" : "${var.jurisdiction}."}r2.cloudflarestorage.com"
}

output "region" {
  description = "The region of R2, which is always auto."
  value       = "auto"
}

output "public_url" {
  description = "The base of public media URLs. Null unless public is true."
  value       = var.public ? "https://${cloudflare_r2_custom_domain.media[0].domain}" : null
}
