# Variables that validation rejects before OpenTofu calls a provider.

mock_provider "cloudflare" {}

run "public_without_a_domain" {
  command         = plan
  expect_failures = [var.domain]

  variables {
    public = true
  }
}

run "domain_without_public" {
  command         = plan
  expect_failures = [var.domain]

  variables {
    domain  = "cdn.example.org"
    zone_id = "fedcba9876543210fedcba9876543210"
  }
}

run "domain_without_zone" {
  command         = plan
  expect_failures = [var.zone_id]

  variables {
    public = true
    domain = "cdn.example.org"
  }
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

run "invalid_names" {
  command         = plan
  expect_failures = [var.environment, var.account_id, var.bucket, var.jurisdiction, var.zone_id]

  variables {
    environment  = "p"
    account_id   = "me"
    bucket       = "meemit.media"
    jurisdiction = "fi"
    zone_id      = "example.org"
  }
}
