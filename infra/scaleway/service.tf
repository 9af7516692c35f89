locals {
  name   = "${var.project}-${var.environment}"
  labels = { project = var.project, environment = var.environment }
  tags   = [for name, value in local.labels : "${name}:${value}"]

  declared       = jsondecode(file("${path.module}/${var.settings_file}")).settings
  declared_names = toset(local.declared[*].name)
  secret_names   = toset([for setting in local.declared : setting.name if setting.secret])

  # Settings that the stack provides if the service declares them. settings.json decides which are secret.
  made_here = {
    SERVICE_VERSION      = var.release
    S3_BUCKET            = scaleway_object_bucket.media.name
    S3_REGION            = var.region
    S3_ENDPOINT          = "https://s3.${var.region}.scw.cloud"
    S3_ACCESS_KEY_ID     = scaleway_iam_api_key.service.access_key
    S3_SECRET_ACCESS_KEY = scaleway_iam_api_key.service.secret_key
  }

  # A service that keeps its files elsewhere, or in the bucket that its settings name, gets no credentials of this one.
  storage = lookup(var.settings, "STORAGE_BACKEND", try(one([for setting in local.declared : setting.default if setting.name == "STORAGE_BACKEND"]), null))
  is_here = (local.storage == null || local.storage == "s3") && !contains(keys(var.settings), "S3_BUCKET")
  made    = { for name, value in local.made_here : name => value if local.is_here || !startswith(name, "S3_") }
}

resource "scaleway_container_namespace" "service" {
  name       = local.name
  project_id = var.project_id
  region     = var.region
  tags       = local.tags
}

resource "scaleway_container" "service" {
  name         = var.project
  namespace_id = scaleway_container_namespace.service.id
  region       = var.region
  tags         = local.tags

  # With its digest, so a new image is a change. The platform deploys on every change, even of the tags.
  image = var.image

  cpu_limit          = var.cpu_mvcpu
  memory_limit_bytes = var.memory_bytes
  min_scale          = var.min_scale
  max_scale          = var.max_scale
  timeout            = var.timeout_seconds
  sandbox            = "v2" # the clock of v1 drifts, which breaks the expiry of tokens

  port                   = var.port
  protocol               = "http1"
  privacy                = "public"
  https_connections_only = true

  environment_variables = merge(var.settings, {
    for name, value in local.made : name => value if contains(setsubtract(local.declared_names, local.secret_names), name)
  })
  secret_environment_variables = merge(var.secrets, {
    for name, value in local.made : name => value if contains(local.secret_names, name)
  })

  # Migrations have five minutes before the first request. Later, an instance that does not respond for 30 seconds is taken out:
  # it gets no more requests. The API allows thresholds from 3 to 50.
  startup_probe {
    interval          = "10s"
    timeout           = "5s"
    failure_threshold = 30

    http {
      path = var.readiness_path
    }
  }

  liveness_probe {
    interval          = "10s"
    timeout           = "5s"
    failure_threshold = 3

    http {
      path = var.liveness_path
    }
  }

  # The service is not ready until it has its permissions.
  depends_on = [scaleway_iam_policy.service, scaleway_object_bucket_policy.media]
}
