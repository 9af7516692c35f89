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

  # Bucket, key, region and endpoint come from deploy.yaml when the stack is initialised.
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

# Route 53 and nothing else. The keys are given by name: AWS_ACCESS_KEY_ID is the state bucket's.
provider "aws" {
  alias                   = "dns"
  region                  = "us-east-1"
  access_key              = var.dns_access_key_id
  secret_key              = var.dns_secret_access_key
  skip_metadata_api_check = true
}
