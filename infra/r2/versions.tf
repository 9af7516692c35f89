terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "5.22.0"
    }
  }

  # `tofu init` gets the bucket, key, region and endpoint from deploy.yaml.
  backend "s3" {
    use_lockfile = true
  }
}

# Credentials: CLOUDFLARE_API_TOKEN.
provider "cloudflare" {}
