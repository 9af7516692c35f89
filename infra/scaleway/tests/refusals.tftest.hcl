# Variables that validation rejects before OpenTofu calls a provider.

# The provider checks ids, so the mocked ones must have the form of real ones.
mock_provider "scaleway" {
  mock_resource "scaleway_container" {
    defaults = { id = "fr-par/0a000000-0000-4000-8000-000000000002" }
  }
  mock_resource "scaleway_iam_application" {
    defaults = { id = "0a000000-0000-4000-8000-000000000003" }
  }
}

mock_provider "aws" {
  alias = "dns"
}

run "registry_namespace_in_another_region" {
  command         = plan
  expect_failures = [var.registry_namespace_id]

  variables {
    registry_namespace_id = "nl-ams/0a000000-0000-4000-8000-000000000005"
  }
}

run "image_by_tag" {
  command         = plan
  expect_failures = [var.image]

  variables {
    image = "rg.fr-par.scw.cloud/meemit/meemit-backend:latest"
  }
}

run "secret_among_plain_settings" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { JWT_SECRET = "x" }
  }
}

run "undeclared_setting" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { LOG_LEVL = "info" }
  }
}

run "reserved_setting" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { PORT = "8080" }
  }
}

# 1001 characters: "x" and its accent are two, which OpenTofu cannot compose.
run "setting_of_1001_characters" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { LOG_LEVEL = "${join("", [for i in range(999) : "ä"])}x\u0301" }
  }
}

run "setting_of_1000_characters" {
  command = plan

  variables {
    settings = { LOG_LEVEL = join("", [for i in range(1000) : "ä"]) }
  }
}

# 65,536 characters of two bytes would pass a limit of characters.
run "secret_of_65538_bytes" {
  command         = plan
  expect_failures = [var.secrets]

  variables {
    secrets = { JWT_SECRET = replace(format("%032769d", 0), "0", "ä") }
  }
}

run "secret_of_65536_bytes" {
  command = plan

  variables {
    secrets = { JWT_SECRET = replace(format("%032768d", 0), "0", "ä") }
  }
}

run "empty_secret" {
  command         = plan
  expect_failures = [var.secrets]

  variables {
    secrets = { DATABASE_URL = "postgres://a:b@db.example.org/meemi", JWT_SECRET = "" }
  }
}

run "plain_setting_among_secrets" {
  command         = plan
  expect_failures = [var.secrets]

  variables {
    secrets = { LOG_LEVEL = "info" }
  }
}

run "secret_key_declared_as_plain" {
  command         = plan
  expect_failures = [var.settings_file]

  variables {
    settings_file = "tests/fixtures/leaky.json"
    settings      = {}
    secrets       = {}
  }
}

run "wildcard_origin" {
  command         = plan
  expect_failures = [var.allowed_origins]

  variables {
    allowed_origins = ["*"]
  }
}

run "http_origin_in_production" {
  command         = plan
  expect_failures = [var.allowed_origins]

  variables {
    allowed_origins = ["http://localhost:5173"]
  }
}

run "localhost_origin_in_staging" {
  command = plan

  variables {
    environment     = "staging"
    allowed_origins = ["http://localhost:5173"]
  }
}

run "empty_prefix" {
  command         = plan
  expect_failures = [var.media_prefixes]

  variables {
    media_prefixes = [""]
  }
}

run "wildcard_prefix" {
  command         = plan
  expect_failures = [var.media_prefixes]

  variables {
    media_prefixes = ["*/"]
  }
}

run "no_bucket_admins" {
  command         = plan
  expect_failures = [var.bucket_admins]

  variables {
    bucket_admins = []
  }
}

run "max_scale_above_limit" {
  command         = plan
  expect_failures = [var.max_scale]

  variables {
    max_scale = 51
  }
}

run "min_scale_above_limit" {
  command         = plan
  expect_failures = [var.min_scale]

  variables {
    min_scale = 11
    max_scale = 50
  }
}

run "min_scale_above_max_scale" {
  command         = plan
  expect_failures = [var.min_scale]

  variables {
    min_scale = 2
  }
}

run "invalid_names" {
  command         = plan
  expect_failures = [var.project, var.environment, var.registry_namespace, var.bucket, var.domain, var.dns_zone_id, var.project_id, var.organization_id, var.region, var.release]

  variables {
    project            = "Meemi"
    environment        = "p"
    registry_namespace = "a_b"
    bucket             = "meemit.media"
    domain             = "https://meemit.example.org"
    dns_zone_id        = "/hostedzone/Z1"
    project_id         = "default"
    organization_id    = "mine"
    region             = "eu-west-1"
    release            = "a b"
  }
}

run "state_in_the_service_project" {
  command         = plan
  expect_failures = [var.state_project_id]

  variables {
    state_project_id = "11111111-2222-4333-8444-555555555555"
  }
}

run "half_a_unit_of_cpu" {
  command         = plan
  expect_failures = [var.cpu_mvcpu]

  variables {
    cpu_mvcpu = 1.5
  }
}

run "invalid_numbers" {
  command         = plan
  expect_failures = [var.port, var.memory_bytes, var.timeout_seconds, var.undelete_days]

  variables {
    port            = 80
    memory_bytes    = 1024
    timeout_seconds = 0
    undelete_days   = 0
  }
}

run "limits" {
  command = plan

  variables {
    cpu_mvcpu       = 6000
    memory_bytes    = 12288000000
    min_scale       = 10
    max_scale       = 10
    timeout_seconds = 10
  }
}

run "too_much_memory" {
  command         = plan
  expect_failures = [var.memory_bytes]

  variables {
    cpu_mvcpu    = 6000
    memory_bytes = 12288000001
  }
}

run "too_little_memory_for_the_cpu" {
  command         = plan
  expect_failures = [var.memory_bytes]

  variables {
    cpu_mvcpu    = 2000
    memory_bytes = 1999999999
  }
}

run "too_much_memory_for_the_cpu" {
  command         = plan
  expect_failures = [var.memory_bytes]

  variables {
    memory_bytes = 4000000001
  }
}

run "timeout_below_limit" {
  command         = plan
  expect_failures = [var.timeout_seconds]

  variables {
    timeout_seconds = 9
  }
}

run "port_of_the_platform" {
  command         = plan
  expect_failures = [var.port]

  variables {
    port = 9090
  }
}

run "host_name_of_64_characters" {
  command         = plan
  expect_failures = [var.domain]

  variables {
    domain = "a123456789-123456789-123456789-123456789-123456789-1.example.org"
  }
}

run "paths_of_101_characters" {
  command         = plan
  expect_failures = [var.liveness_path, var.readiness_path]

  variables {
    liveness_path  = format("/%0100d", 0)
    readiness_path = format("/%0100d", 0)
  }
}

run "invalid_paths" {
  command         = plan
  expect_failures = [var.liveness_path, var.readiness_path]

  variables {
    liveness_path  = "api/health/liveness"
    readiness_path = "https://meemit.example.org/api/health/readiness"
  }
}
