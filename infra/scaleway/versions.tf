terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    scaleway = {
      source  = "scaleway/scaleway"
      version = "2.81.0"
    }
    aws = {
      source  = "hashicorp/aws"
      version = "6.47.0"
    }
  }

  # `tofu init` gets the bucket, key, region and endpoint from deploy.yaml.
  backend "s3" {
    use_lockfile = true
  }
}

# Credentials: SCW_ACCESS_KEY and SCW_SECRET_KEY.
provider "scaleway" {
  region          = var.region
  project_id      = var.project_id
  organization_id = var.organization_id
}

# For Route 53 only. The keys are variables, because AWS_ACCESS_KEY_ID is used for the state bucket.
provider "aws" {
  alias                   = "dns"
  region                  = "us-east-1"
  access_key              = var.dns_access_key_id
  secret_key              = var.dns_secret_access_key
  skip_metadata_api_check = true
}
