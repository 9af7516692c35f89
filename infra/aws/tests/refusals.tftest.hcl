# Variables that validation rejects before OpenTofu calls a provider.

mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:us-east-1:123456789012:certificate/0a000000-0000-4000-8000-000000000001"
      domain_validation_options = [{
        domain_name           = "cdn.example.org"
        resource_record_name  = "_a79865eb4cd1a6ab990a45779b4e0b96.cdn.example.org."
        resource_record_type  = "CNAME"
        resource_record_value = "_424c7224e9b0146f9a8808af955727d0.acm-validations.aws."
      }]
    }
  }
}

mock_provider "aws" {
  alias = "dns"
}

run "wildcard_origin" {
  command         = plan
  expect_failures = [var.allowed_origins]

  variables {
    allowed_origins = ["*"]
  }
}

run "no_origins" {
  command         = plan
  expect_failures = [var.allowed_origins]

  variables {
    allowed_origins = []
  }
}

run "http_origin_in_production" {
  command         = plan
  expect_failures = [var.allowed_origins]

  variables {
    allowed_origins = ["http://localhost:5173"]
  }
}

run "private_signing_key" {
  command         = plan
  expect_failures = [var.signing_public_keys]

  variables {
    signing_public_keys = { first = "-----BEGIN PRIVATE KEY-----\nMIIBIjAN\n-----END PRIVATE KEY-----" }
  }
}

run "no_signing_key" {
  command         = plan
  expect_failures = [var.signing_public_keys]

  variables {
    signing_public_keys = {}
  }
}

run "domain_without_zone" {
  command         = plan
  expect_failures = [var.dns_zone_id]

  variables {
    domain                = "cdn.example.org"
    dns_access_key_id     = "dns-key-id"
    dns_secret_access_key = "dns-secret"
  }
}

run "domain_without_credentials" {
  command         = plan
  expect_failures = [var.dns_access_key_id, var.dns_secret_access_key]

  variables {
    domain      = "cdn.example.org"
    dns_zone_id = "Z0123456789ABC"
  }
}

run "wildcard_repository" {
  command         = plan
  expect_failures = [var.github_repository]

  variables {
    github_repository = "octo-org/*"
  }
}

run "wildcard_environment" {
  command         = plan
  expect_failures = [var.github_environment]

  variables {
    github_environment = "*"
  }
}

run "prefixes_without_uploads" {
  command         = plan
  expect_failures = [var.media_prefixes]

  variables {
    media_prefixes = ["thumbs/"]
  }
}

run "wildcard_prefix" {
  command         = plan
  expect_failures = [var.media_prefixes]

  variables {
    media_prefixes = ["uploads/", "*"]
  }
}

run "state_bucket_is_media_bucket" {
  command         = plan
  expect_failures = [var.state_bucket]

  variables {
    state_bucket = "meemit-media"
  }
}

run "invalid_names" {
  command         = plan
  expect_failures = [var.project, var.environment, var.account_id, var.region, var.bucket, var.state_key, var.github_oidc_provider_arn]

  variables {
    project                  = "Meemi"
    environment              = "p"
    account_id               = "1234"
    region                   = "fr-par"
    bucket                   = "meemit.media"
    state_key                = "/production/*"
    github_oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/example.org"
  }
}

run "invalid_numbers" {
  command         = plan
  expect_failures = [var.undelete_days, var.visibility_seconds, var.max_receives]

  variables {
    undelete_days      = 0
    visibility_seconds = 1
    max_receives       = 1
  }
}
