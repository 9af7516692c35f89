# What the platform is told to run. Plans only: what has prevent_destroy could not be removed after an apply.

mock_provider "scaleway" {
  mock_resource "scaleway_container_namespace" {
    defaults = { id = "fr-par/0a000000-0000-4000-8000-000000000001" }
  }
  mock_resource "scaleway_container" {
    defaults = {
      id              = "fr-par/0a000000-0000-4000-8000-000000000002"
      public_endpoint = "https://meemiproduction0a0000-meemi.functions.fnc.fr-par.scw.cloud"
    }
  }
  mock_resource "scaleway_iam_application" {
    defaults = { id = "0a000000-0000-4000-8000-000000000003" }
  }
  mock_resource "scaleway_iam_api_key" {
    defaults = { access_key = "SCWXXXXXXXXXXXXXXXXX", secret_key = "0a000000-0000-4000-8000-00000000dead" }
  }
}

mock_provider "aws" {
  alias = "dns"
}

run "image_by_digest" {
  command = plan

  assert {
    condition     = scaleway_container.service.image == var.image
    error_message = "The container does not run the image that was asked for."
  }
  assert {
    condition     = scaleway_container.service.registry_sha256 == "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    error_message = "Without the digest in registry_sha256 a new image is not deployed."
  }
}

run "names" {
  command = plan

  assert {
    condition     = scaleway_registry_namespace.images.name == "meemit" && scaleway_registry_namespace.images.is_public == false
    error_message = "The registry namespace has another name, or is public."
  }
  assert {
    condition     = scaleway_container_namespace.service.name == "meemi-production" && scaleway_container.service.name == "meemi"
    error_message = "The container's names are not made of project and environment."
  }
  assert {
    condition = alltrue([for project in [
      scaleway_registry_namespace.images.project_id,
      scaleway_container_namespace.service.project_id,
      scaleway_object_bucket.media.project_id,
      scaleway_object_bucket_policy.media.project_id,
      scaleway_object_bucket_server_side_encryption_configuration.media.project_id,
      scaleway_iam_api_key.service.default_project_id,
    ] : project == var.project_id])
    error_message = "Something would land in the provider's default project."
  }
}

run "limits" {
  command = plan

  assert {
    condition     = scaleway_container.service.cpu_limit == 1000 && scaleway_container.service.memory_limit_bytes == 1024 * 1024 * 1024
    error_message = "Not 1 vCPU and 1 GiB."
  }
  assert {
    condition     = scaleway_container.service.min_scale == 0 && scaleway_container.service.max_scale == 1
    error_message = "Not 0 to 1 instances."
  }
  assert {
    condition     = scaleway_container.service.timeout == 300
    error_message = "Not 300 seconds for a request."
  }
  assert {
    condition     = scaleway_container.service.privacy == "public" && scaleway_container.service.https_connections_only
    error_message = "Not public, or also in clear."
  }
  assert {
    condition     = scaleway_container.service.port == 3000
    error_message = "Not the port that the service listens on."
  }
  assert {
    condition     = scaleway_container.service.sandbox == "v2" && scaleway_container.service.protocol == "http1"
    error_message = "A sandbox whose clock drifts, or a protocol that the service does not speak."
  }
}

run "probes" {
  command = plan

  assert {
    condition     = one(scaleway_container.service.liveness_probe).http[0].path == "/api/health/liveness"
    error_message = "A liveness probe that depends on anything restarts healthy instances."
  }
  assert {
    condition     = one(scaleway_container.service.startup_probe).http[0].path == "/api/health/readiness"
    error_message = "An instance would get requests before it is ready."
  }
  assert {
    condition     = tonumber(trimsuffix(one(scaleway_container.service.startup_probe).interval, "s")) * one(scaleway_container.service.startup_probe).failure_threshold >= 120
    error_message = "Migrations have less than two minutes."
  }
}

run "secrets_are_apart" {
  command = plan

  assert {
    condition = scaleway_container.service.environment_variables == tomap({
      LOG_LEVEL       = "info"
      STORAGE_BACKEND = "s3"
      SERVICE_VERSION = "3f9c2d1a4b7e"
      S3_BUCKET       = "meemit-media"
      S3_REGION       = "fr-par"
      S3_ENDPOINT     = "https://s3.fr-par.scw.cloud"
    })
    error_message = "Other plain variables than the settings that are not secret."
  }
  assert {
    condition     = toset(nonsensitive(keys(scaleway_container.service.secret_environment_variables))) == toset(["DATABASE_URL", "JWT_SECRET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
    error_message = "Other secret variables than the settings that are secret."
  }
  assert {
    condition     = nonsensitive(scaleway_container.service.secret_environment_variables["JWT_SECRET"]) == "sentinel \"quoted\" $${not} %%{expanded} ä\n"
    error_message = "A secret did not arrive as it was."
  }
  assert {
    condition     = nonsensitive(scaleway_container.service.secret_environment_variables["S3_SECRET_ACCESS_KEY"]) == nonsensitive(scaleway_iam_api_key.service.secret_key)
    error_message = "The service has not the key that was made for it."
  }
}

# Whatever the real service declares: no name that is secret there is plain here.
run "real_settings" {
  command = plan

  variables {
    settings_file = "../../app/settings.json"
    settings      = { LOG_LEVEL = "debug" }
    secrets       = { DATABASE_URL = "postgres://a:b@db.example.org/meemi", JWT_SECRET = "x", BOOTSTRAP_TOKEN = "x" }
  }

  assert {
    condition = length(setintersection(
      keys(scaleway_container.service.environment_variables),
      [for setting in jsondecode(file("../../app/settings.json")).settings : setting.name if setting.secret],
    )) == 0
    error_message = "A secret is in the plain variables."
  }
  assert {
    condition     = scaleway_container.service.environment_variables["SERVICE_VERSION"] == "3f9c2d1a4b7e"
    error_message = "The service does not learn which release it is."
  }
}

run "domain" {
  command = plan

  assert {
    condition     = aws_route53_record.service.type == "CNAME" && aws_route53_record.service.name == "meemit.example.org" && aws_route53_record.service.zone_id == "Z0123456789ABC"
    error_message = "Another record than the domain's."
  }
  assert {
    condition     = one(aws_route53_record.service.records) == "meemiproduction0a0000-meemi.functions.fnc.fr-par.scw.cloud"
    error_message = "The record does not lead to the container, or has a scheme in it."
  }
  assert {
    condition     = scaleway_container_domain.service.hostname == "meemit.example.org" && scaleway_container_domain.service.container_id == scaleway_container.service.id
    error_message = "The platform would answer 404 on the domain."
  }
  assert {
    condition     = output.url == "https://meemit.example.org"
    error_message = "The output url is not the domain's."
  }
}

run "bigger" {
  command = plan

  variables {
    min_scale       = 1
    max_scale       = 5
    memory_bytes    = 2147483648
    cpu_mvcpu       = 2000
    timeout_seconds = 600
  }

  assert {
    condition = [
      scaleway_container.service.min_scale, scaleway_container.service.max_scale, scaleway_container.service.memory_limit_bytes,
      scaleway_container.service.cpu_limit, scaleway_container.service.timeout,
    ] == [1, 5, 2147483648, 2000, 600]
    error_message = "A size that was asked for is not applied."
  }
}
