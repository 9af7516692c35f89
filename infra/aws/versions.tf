terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.47.0"
    }
  }

  # Bucket, key and region come from deploy.yaml when the stack is initialised. The bucket is in the same account: its
  # credentials are the provider's.
  backend "s3" {
    use_lockfile = true
  }
}

# Credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Another account's are refused.
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { project = var.project, environment = var.environment }
  }
}

# Route 53 and nothing else: only these credentials may change the zone.
provider "aws" {
  alias                   = "dns"
  region                  = "us-east-1"
  access_key              = var.dns_access_key_id
  secret_key              = var.dns_secret_access_key
  skip_metadata_api_check = true
}
