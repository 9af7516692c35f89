terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "5.22.0"
    }
  }

  # Bucket, key, region and endpoint come from deploy.yaml when the stack is initialised.
  backend "s3" {
    use_lockfile = true
  }
}

# Credentials: CLOUDFLARE_API_TOKEN.
provider "cloudflare" {}
