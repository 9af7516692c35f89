terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.47.0"
    }
  }

  # `tofu init` gets the bucket, key and region from deploy.yaml. The bucket is in the same account, so it uses the
  # provider's credentials.
  backend "s3" {
    use_lockfile = true
  }
}

# Credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Those of another account are rejected.
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { project = var.project, environment = var.environment }
  }
}

# For Route 53 only: these are the only credentials that can change the zone.
provider "aws" {
  alias                   = "dns"
  region                  = "us-east-1"
  access_key              = var.dns_access_key_id
  secret_key              = var.dns_secret_access_key
  skip_metadata_api_check = true
}
