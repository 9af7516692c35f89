# The container, its image, settings and domain. The tests only plan: resources with prevent_destroy could not be destroyed after an apply.

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

run "image_with_digest" {
  command = plan

  assert {
    condition     = scaleway_container.service.image == var.image
    error_message = "The container does not run the configured image."
  }
  assert {
    condition     = endswith(scaleway_container.service.image, "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
    error_message = "The image is not named by its digest, so a new one would not be deployed."
  }
}

run "names" {
  command = plan

  assert {
    condition     = scaleway_registry_namespace.images.name == "meemit" && scaleway_registry_namespace.images.is_public == false
    error_message = "The registry namespace has a wrong name or is public."
  }
  assert {
    condition     = scaleway_container_namespace.service.name == "meemi-production" && scaleway_container.service.name == "meemi"
    error_message = "The names of the container and its namespace are not based on project and environment."
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
    error_message = "A resource would be created in the provider's default project."
  }
}

run "limits" {
  command = plan

  assert {
    condition     = scaleway_container.service.cpu_limit == 1000 && scaleway_container.service.memory_limit_bytes == 1024 * 1024 * 1024
    error_message = "The limits are not 1 vCPU and 1 GiB."
  }
  assert {
    condition     = scaleway_container.service.min_scale == 0 && scaleway_container.service.max_scale == 1
    error_message = "The scale is not 0 to 1 instances."
  }
  assert {
    condition     = scaleway_container.service.timeout == 300
    error_message = "The request timeout is not 300 seconds."
  }
  assert {
    condition     = scaleway_container.service.privacy == "public" && scaleway_container.service.https_connections_only
    error_message = "Not public, or also in clear."
  }
  assert {
    condition     = scaleway_container.service.port == 3000
    error_message = "The port is not the one that the service listens on."
  }
  assert {
    condition     = scaleway_container.service.sandbox == "v2" && scaleway_container.service.protocol == "http1"
    error_message = "The sandbox is not v2, or the protocol is not HTTP/1."
  }
}

run "probes" {
  command = plan

  assert {
    condition     = one(scaleway_container.service.liveness_probe).http[0].path == "/api/health/liveness"
    error_message = "The liveness probe has another path. If it depends on other services, healthy instances are taken out."
  }
  assert {
    condition     = one(scaleway_container.service.startup_probe).http[0].path == "/api/health/readiness"
    error_message = "The startup probe has another path, so an instance would get requests before it is ready."
  }
  assert {
    condition     = tonumber(trimsuffix(one(scaleway_container.service.startup_probe).interval, "s")) * one(scaleway_container.service.startup_probe).failure_threshold >= 120
    error_message = "Migrations have less than two minutes."
  }
  assert {
    condition = alltrue([
      for probe in concat(scaleway_container.service.startup_probe, scaleway_container.service.liveness_probe) :
      probe.failure_threshold >= 3 && probe.failure_threshold <= 50
    ])
    error_message = "A threshold is outside of 3 to 50, and the API would refuse the container."
  }
}

run "secrets_are_separate" {
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
    error_message = "The plain variables are not exactly the settings that are not secret."
  }
  assert {
    condition     = toset(nonsensitive(keys(scaleway_container.service.secret_environment_variables))) == toset(["DATABASE_URL", "JWT_SECRET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
    error_message = "The secret variables are not exactly the settings that are secret."
  }
  assert {
    condition     = nonsensitive(scaleway_container.service.secret_environment_variables["JWT_SECRET"]) == "sentinel \"quoted\" $${not} %%{expanded} ä\n"
    error_message = "The value of a secret was changed."
  }
  assert {
    condition     = nonsensitive(scaleway_container.service.secret_environment_variables["S3_SECRET_ACCESS_KEY"]) == nonsensitive(scaleway_iam_api_key.service.secret_key)
    error_message = "The service does not get its own API key."
  }
}

# With the real service's settings.json, no secret is a plain variable.
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
    error_message = "A plain variable is declared as secret."
  }
  assert {
    condition     = scaleway_container.service.environment_variables["SERVICE_VERSION"] == "3f9c2d1a4b7e"
    error_message = "SERVICE_VERSION is not the release."
  }
}

# The bucket, the queue and the distribution of infra/aws.
run "another_bucket" {
  command = plan

  variables {
    settings_file = "../../app/settings.json"
    settings = {
      STORAGE_BACKEND = "s3"
      S3_BUCKET       = "meemit-uploads"
      S3_REGION       = "eu-north-1"
      QUEUE_URL       = "https://sqs.eu-north-1.amazonaws.com/123456789012/meemi-production-uploads"
    }
    secrets = { DATABASE_URL = "postgres://a:b@db.example.org/meemi", S3_ACCESS_KEY_ID = "AKIA", S3_SECRET_ACCESS_KEY = "other" }
  }

  assert {
    condition = scaleway_container.service.environment_variables == tomap({
      STORAGE_BACKEND = "s3"
      S3_BUCKET       = "meemit-uploads"
      S3_REGION       = "eu-north-1"
      QUEUE_URL       = "https://sqs.eu-north-1.amazonaws.com/123456789012/meemi-production-uploads"
      SERVICE_VERSION = "3f9c2d1a4b7e"
    })
    error_message = "The service uses parts of the stack's own bucket."
  }
  assert {
    condition     = nonsensitive(scaleway_container.service.secret_environment_variables["S3_SECRET_ACCESS_KEY"]) == "other"
    error_message = "The service does not get the key of its bucket."
  }
}

run "domain" {
  command = plan

  assert {
    condition     = aws_route53_record.service.type == "CNAME" && aws_route53_record.service.name == "meemit.example.org" && aws_route53_record.service.zone_id == "Z0123456789ABC"
    error_message = "The DNS record is not a CNAME of the domain in the zone."
  }
  assert {
    condition     = one(aws_route53_record.service.records) == "meemiproduction0a0000-meemi.functions.fnc.fr-par.scw.cloud"
    error_message = "The record does not point to the container, or contains a scheme."
  }
  assert {
    condition     = scaleway_container_domain.service.hostname == "meemit.example.org" && scaleway_container_domain.service.container_id == scaleway_container.service.id
    error_message = "The platform would respond with 404 on the domain."
  }
  assert {
    condition     = output.url == "https://meemit.example.org"
    error_message = "The output url does not use the domain."
  }
}

run "custom_limits" {
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
    error_message = "A configured limit is not applied."
  }
}
