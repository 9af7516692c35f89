# --- Project and location

variable "project" {
  type        = string
  description = "The project's name in deploy.yaml. Resource names start with it."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.project))
    error_message = "project must have 3 to 20 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "environment" {
  type        = string
  description = "The environment's name in deploy.yaml."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}[a-z0-9]$", var.environment))
    error_message = "environment must have 2 to 12 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "project_id" {
  type        = string
  description = "The id of the Scaleway project. It must contain nothing else, because Scaleway grants permissions per project."

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.project_id))
    error_message = "project_id must be a UUID. Find it in the project's settings in Scaleway's console."
  }
}

variable "organization_id" {
  type        = string
  description = "The id of the project's Scaleway organization."

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.organization_id))
    error_message = "organization_id must be a UUID. Find it in the organization's settings in Scaleway's console."
  }
}

variable "state_project_id" {
  type        = string
  description = "The id of the state bucket's Scaleway project. It must be another project, because the service can access every bucket of its own project that has no policy."

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.state_project_id)) && var.state_project_id != var.project_id
    error_message = "state_project_id must be a UUID and must differ from project_id. Otherwise the service could read the state."
  }
}

variable "region" {
  type        = string
  description = "The Scaleway region."
  default     = "fr-par"

  validation {
    condition     = contains(["fr-par", "nl-ams", "pl-waw"], var.region)
    error_message = "region must be fr-par, nl-ams or pl-waw."
  }
}

variable "registry_namespace" {
  type        = string
  description = "The registry namespace: the last part of rg.<region>.scw.cloud/<namespace>. Names are unique within a region."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{2,52}[a-z0-9]$", var.registry_namespace))
    error_message = "registry_namespace must have 4 to 54 lower-case letters, digits and hyphens."
  }
}

variable "registry_namespace_id" {
  type        = string
  description = "The id of an existing registry namespace to import, <region>/<UUID>, as printed by cargo xtask bootstrap registry. If null, the stack creates the namespace."
  default     = null

  validation {
    condition     = var.registry_namespace_id == null || can(regex("^${var.region}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.registry_namespace_id))
    error_message = "registry_namespace_id must be <region>/<UUID> in the stack's region, as printed by cargo xtask bootstrap registry."
  }
}

variable "bucket" {
  type        = string
  description = "The name of the media bucket. Bucket names are globally unique."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must have 3 to 63 lower-case letters, digits and hyphens. A dot would break TLS on <bucket>.s3.<region>.scw.cloud."
  }
}

variable "bucket_admins" {
  type        = set(string)
  description = "The principals that can change the bucket's settings in addition to the deployer, but not read objects: application_id:<UUID> or user_id:<UUID>. Include the user who runs the first apply, or that user loses access to the bucket."

  validation {
    condition = length(var.bucket_admins) > 0 && alltrue([
      for who in var.bucket_admins : can(regex("^(application|user)_id:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", who))
    ])
    error_message = "bucket_admins must contain at least one application_id:<UUID> or user_id:<UUID>. Otherwise only the organization's owner could change the bucket."
  }
}

# --- Media

variable "public" {
  type        = bool
  description = "Whether everyone can read the objects under media_prefixes without authentication."
  default     = false
}

variable "media_prefixes" {
  type        = set(string)
  description = "The prefixes of media in the bucket. Other objects are never public, and listing is never public."
  default     = ["uploads/", "thumbs/", "clipboard/", "public/"]

  validation {
    condition     = length(var.media_prefixes) > 0 && alltrue([for prefix in var.media_prefixes : can(regex("^([a-z0-9_-]+/)+$", prefix))])
    error_message = "media_prefixes must contain prefixes such as uploads/ that end with a slash and have no wildcards. An empty prefix would make the whole bucket public."
  }
}

variable "allowed_origins" {
  type        = set(string)
  description = "The web origins that can read media and upload to the bucket. Default: https://<domain>."
  default     = []

  validation {
    condition     = alltrue([for origin in var.allowed_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$|^http://localhost(:[0-9]+)?$", origin))])
    error_message = "allowed_origins must contain origins such as https://media.example.org, without a path or wildcard."
  }

  validation {
    condition     = var.environment != "production" || !anytrue([for origin in var.allowed_origins : startswith(origin, "http:")])
    error_message = "allowed_origins must not contain http://localhost in production."
  }
}

variable "undelete_days" {
  type        = number
  description = "How many days a deleted or overwritten object can be restored."
  default     = 30

  validation {
    condition     = var.undelete_days == floor(var.undelete_days) && var.undelete_days >= 1 && var.undelete_days <= 365
    error_message = "undelete_days must be a whole number from 1 to 365."
  }
}

# --- Domain

variable "domain" {
  type        = string
  description = "The service's host name. It cannot be the zone's own name, where DNS does not allow a CNAME."

  validation {
    condition     = length(var.domain) <= 63 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.){2,}[a-z]{2,63}$", var.domain))
    error_message = "domain must be a lower-case host name below a zone, such as media.example.org, with at most 63 characters, the platform's limit."
  }
}

variable "dns_zone_id" {
  type        = string
  description = "The id of the Route 53 hosted zone of the domain."

  validation {
    condition     = can(regex("^Z[A-Z0-9]{1,31}$", var.dns_zone_id))
    error_message = "dns_zone_id must be an id such as Z0123456789ABCDEFGHIJ, without /hostedzone/."
  }
}

variable "dns_access_key_id" {
  type        = string
  description = "The access key id of an AWS user that can change records of this zone and nothing else. Not the key of the state bucket."
  sensitive   = true
  ephemeral   = true
}

variable "dns_secret_access_key" {
  type        = string
  description = "The secret key of dns_access_key_id."
  sensitive   = true
  ephemeral   = true
}
