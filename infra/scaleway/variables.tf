# --- Which project, where

variable "project" {
  type        = string
  description = "The project's name in deploy.yaml; what is made here is named after it."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.project))
    error_message = "project: 3 to 20 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "environment" {
  type        = string
  description = "The environment's name in deploy.yaml."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}[a-z0-9]$", var.environment))
    error_message = "environment: 2 to 12 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "project_id" {
  type        = string
  description = "The Scaleway project that all of this belongs to. One that holds nothing else: rights are given by project."

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.project_id))
    error_message = "project_id: a UUID, from the project's settings in Scaleway's console."
  }
}

variable "organization_id" {
  type        = string
  description = "The Scaleway organisation of that project."

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.organization_id))
    error_message = "organization_id: a UUID, from the organisation's settings in Scaleway's console."
  }
}

variable "state_project_id" {
  type        = string
  description = "The Scaleway project of the state bucket; another one, as the service may use any bucket of its own that has no policy."

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.state_project_id)) && var.state_project_id != var.project_id
    error_message = "state_project_id: a UUID, and not project_id's: the service could read the state there."
  }
}

variable "region" {
  type        = string
  description = "The Scaleway region."
  default     = "fr-par"

  validation {
    condition     = contains(["fr-par", "nl-ams", "pl-waw"], var.region)
    error_message = "region: fr-par, nl-ams or pl-waw."
  }
}

variable "registry_namespace" {
  type        = string
  description = "The registry namespace, the last part of rg.<region>.scw.cloud/<namespace>. No one else in the region may have it."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{2,52}[a-z0-9]$", var.registry_namespace))
    error_message = "registry_namespace: 4 to 54 lower-case letters, digits and hyphens."
  }
}

variable "bucket" {
  type        = string
  description = "The bucket for media. No one else in the world may have it."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 lower-case letters, digits and hyphens. A dot would break TLS on <bucket>.s3.<region>.scw.cloud."
  }
}

variable "bucket_admins" {
  type        = set(string)
  description = "Who else than the deployer may change the bucket's settings (not read what is in it), as application_id:<UUID> or user_id:<UUID>. Whoever applies this stack first must be among them, or locks themselves out."

  validation {
    condition = length(var.bucket_admins) > 0 && alltrue([
      for who in var.bucket_admins : can(regex("^(application|user)_id:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", who))
    ])
    error_message = "bucket_admins: at least one application_id:<UUID> or user_id:<UUID>. Without it nobody but the organisation's owner could change the bucket again."
  }
}

# --- What runs

variable "image" {
  type        = string
  description = "The image by its digest: rg.<region>.scw.cloud/<namespace>/<name>@sha256:<digest>."

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image: a full reference that ends in @sha256: and 64 hexadecimal digits. A tag alone can change its meaning after it was approved."
  }
}

variable "release" {
  type        = string
  description = "The version that readiness must report; it reaches the service as SERVICE_VERSION."

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,100}$", var.release))
    error_message = "release: 1 to 100 letters, digits, dots, hyphens and underscores."
  }
}

variable "settings_file" {
  type        = string
  description = "The service's settings.json, seen from this folder: it says which settings exist and which of them are secret."
  default     = "../../app/settings.json"

  validation {
    condition     = alltrue([for setting in jsondecode(file("${path.module}/${var.settings_file}")).settings : setting.secret if setting.name == "S3_SECRET_ACCESS_KEY"])
    error_message = "settings_file: S3_SECRET_ACCESS_KEY must be declared as secret."
  }
}

variable "settings" {
  type        = map(string)
  description = "Settings that are not secret. What the stack itself makes (bucket, keys, release) is added."
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.settings), local.secret_names)) == 0
    error_message = "settings: ${join(", ", setintersection(keys(var.settings), local.secret_names))} must be in secrets: everyone who may look at the container reads plain variables."
  }

  validation {
    condition     = length(setsubtract(keys(var.settings), local.declared_names)) == 0
    error_message = "settings: ${join(", ", setsubtract(keys(var.settings), local.declared_names))} not in ${var.settings_file}: nothing would read it, and nobody knows whether it is secret."
  }

  validation {
    condition     = !anytrue([for name in keys(var.settings) : name == "PORT" || startswith(name, "SCW_")])
    error_message = "settings: PORT and SCW_* are the platform's own; it sets PORT from the variable port."
  }

  # The provider counts bytes.
  validation {
    condition     = alltrue([for value in values(var.settings) : floor(length(replace(base64encode(value), "=", "")) * 3 / 4) <= 1000])
    error_message = "settings: ${join(", ", [for name, value in var.settings : name if floor(length(replace(base64encode(value), "=", "")) * 3 / 4) > 1000])} longer than 1000 bytes, which is what the provider takes."
  }
}

variable "secrets" {
  type        = map(string)
  description = "Settings that are secret. They are stored in the container's secret variables and in the encrypted state."
  sensitive   = true
  default     = {}

  validation {
    condition     = length(setsubtract(nonsensitive(keys(var.secrets)), local.secret_names)) == 0
    error_message = "secrets: ${join(", ", setsubtract(nonsensitive(keys(var.secrets)), local.secret_names))} not secret in ${var.settings_file}: put it in settings, or declare it as secret."
  }

  # The provider counts bytes.
  validation {
    condition     = alltrue([for value in values(var.secrets) : floor(length(replace(base64encode(value), "=", "")) * 3 / 4) <= 1000])
    error_message = "secrets: ${join(", ", [for name in nonsensitive(keys(var.secrets)) : name if nonsensitive(floor(length(replace(base64encode(var.secrets[name]), "=", "")) * 3 / 4) > 1000)])} longer than 1000 bytes, which is what the provider takes. An RSA key in PEM does not fit."
  }
}

variable "port" {
  type        = number
  description = "The port that the service listens on; the platform hands it over as PORT."
  default     = 3000

  validation {
    condition     = var.port == floor(var.port) && var.port >= 1024 && var.port <= 65535
    error_message = "port: 1024 to 65535; the image's user may not open a lower one."
  }
}

variable "liveness_path" {
  type        = string
  description = "Answers 200 as long as the process works, whatever it depends on. Where it does not, the container is restarted."
  default     = "/api/health/liveness"

  validation {
    condition     = can(regex("^/[A-Za-z0-9/_.-]*$", var.liveness_path))
    error_message = "liveness_path: a path that begins with a slash."
  }
}

variable "readiness_path" {
  type        = string
  description = "Answers 200 once the service can serve. Until then a new instance gets no requests."
  default     = "/api/health/readiness"

  validation {
    condition     = can(regex("^/[A-Za-z0-9/_.-]*$", var.readiness_path))
    error_message = "readiness_path: a path that begins with a slash."
  }
}

variable "cpu_mvcpu" {
  type        = number
  description = "Processor time for each instance, in thousandths of a vCPU."
  default     = 1000

  validation {
    condition     = var.cpu_mvcpu == floor(var.cpu_mvcpu) && var.cpu_mvcpu >= 70 && var.cpu_mvcpu <= 6000
    error_message = "cpu_mvcpu: 70 to 6000."
  }
}

variable "memory_bytes" {
  type        = number
  description = "Memory for each instance, in bytes. Files below /tmp count too."
  default     = 1073741824

  validation {
    condition     = var.memory_bytes == floor(var.memory_bytes) && var.memory_bytes >= 128000000 && var.memory_bytes <= 12884901888
    error_message = "memory_bytes: 128 MB to 12 GiB."
  }
}

variable "min_scale" {
  type        = number
  description = "Instances that run without any request. 0: the first request after a quiet time waits for a start."
  default     = 0

  validation {
    condition     = var.min_scale == floor(var.min_scale) && var.min_scale >= 0 && var.min_scale <= var.max_scale
    error_message = "min_scale: a whole number from 0 to max_scale."
  }
}

variable "max_scale" {
  type        = number
  description = "The most instances at a time; each takes its share of the database's connections."
  default     = 1

  validation {
    condition     = var.max_scale == floor(var.max_scale) && var.max_scale >= 1 && var.max_scale <= 50
    error_message = "max_scale: 1 to 50, the platform's limit."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "How long one request may take."
  default     = 300

  validation {
    condition     = var.timeout_seconds == floor(var.timeout_seconds) && var.timeout_seconds >= 1 && var.timeout_seconds <= 3600
    error_message = "timeout_seconds: 1 to 3600."
  }
}

# --- Media

variable "public" {
  type        = bool
  description = "Whether everyone may read the objects under media_prefixes, by their address and without signing in."
  default     = false
}

variable "media_prefixes" {
  type        = set(string)
  description = "Where media are in the bucket. Nothing else is ever public, and nobody may list."
  default     = ["uploads/", "thumbs/", "clipboard/"]

  validation {
    condition     = length(var.media_prefixes) > 0 && alltrue([for prefix in var.media_prefixes : can(regex("^([a-z0-9_-]+/)+$", prefix))])
    error_message = "media_prefixes: folders such as uploads/, with a slash at the end and without wildcards: an empty one would open the whole bucket."
  }
}

variable "allowed_origins" {
  type        = set(string)
  description = "The web origins that may read media and send uploads to the bucket. Without any: https://<domain>."
  default     = []

  validation {
    condition     = alltrue([for origin in var.allowed_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$|^http://localhost(:[0-9]+)?$", origin))])
    error_message = "allowed_origins: exact origins such as https://media.example.org, without a path and never *."
  }

  validation {
    condition     = var.environment != "production" || !anytrue([for origin in var.allowed_origins : startswith(origin, "http:")])
    error_message = "allowed_origins: no http://localhost in production."
  }
}

variable "undelete_days" {
  type        = number
  description = "How many days a deleted or replaced object can be brought back."
  default     = 30

  validation {
    condition     = var.undelete_days == floor(var.undelete_days) && var.undelete_days >= 1 && var.undelete_days <= 365
    error_message = "undelete_days: 1 to 365."
  }
}

# --- The address

variable "domain" {
  type        = string
  description = "The service's host name. Not the zone's own name: a CNAME cannot be there."

  validation {
    condition     = length(var.domain) <= 253 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.){2,}[a-z]{2,63}$", var.domain))
    error_message = "domain: a lower-case host name below a zone, such as media.example.org."
  }
}

variable "dns_zone_id" {
  type        = string
  description = "The Route 53 hosted zone that answers for the domain."

  validation {
    condition     = can(regex("^Z[A-Z0-9]{1,31}$", var.dns_zone_id))
    error_message = "dns_zone_id: an id such as Z0123456789ABCDEFGHIJ, without /hostedzone/."
  }
}

variable "dns_access_key_id" {
  type        = string
  description = "AWS credentials that may change records of that zone and nothing else; not the state bucket's."
  sensitive   = true
  ephemeral   = true
}

variable "dns_secret_access_key" {
  type        = string
  description = "The secret that belongs to dns_access_key_id."
  sensitive   = true
  ephemeral   = true
}
