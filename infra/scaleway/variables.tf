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

variable "registry_namespace_id" {
  type        = string
  description = "The namespace that is there already and is taken over, as <region>/<UUID>: what cargo xtask bootstrap registry says. Without it one is made."
  default     = null

  validation {
    condition     = var.registry_namespace_id == null || can(regex("^${var.region}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.registry_namespace_id))
    error_message = "registry_namespace_id: <region>/<UUID> in the stack's region, as cargo xtask bootstrap registry says it."
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
