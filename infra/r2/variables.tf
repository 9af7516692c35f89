variable "environment" {
  type        = string
  description = "The environment's name in deploy.yaml."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}[a-z0-9]$", var.environment))
    error_message = "environment must have 2 to 12 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "account_id" {
  type        = string
  description = "The id of the Cloudflare account."

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.account_id))
    error_message = "account_id must have 32 hexadecimal digits. Find it in the account's overview in Cloudflare's dashboard."
  }
}

variable "bucket" {
  type        = string
  description = "The name of the media bucket. It must contain nothing else: R2 can only make a whole bucket public."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must have 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "jurisdiction" {
  type        = string
  description = "The jurisdiction where data is stored: default (no restriction), eu or fedramp. It is part of the endpoint and cannot be changed later."
  default     = "default"

  validation {
    condition     = contains(["default", "eu", "fedramp"], var.jurisdiction)
    error_message = "jurisdiction must be default, eu or fedramp."
  }
}

variable "allowed_origins" {
  type        = set(string)
  description = "The web origins that can read media and upload to the bucket."

  validation {
    condition = length(var.allowed_origins) > 0 && alltrue([
      for origin in var.allowed_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$|^http://localhost(:[0-9]+)?$", origin))
    ])
    error_message = "allowed_origins must contain at least one origin such as https://media.example.org, without a path or wildcard."
  }

  validation {
    condition     = var.environment != "production" || !anytrue([for origin in var.allowed_origins : startswith(origin, "http:")])
    error_message = "allowed_origins must not contain http://localhost in production."
  }
}

variable "public" {
  type        = bool
  description = "Whether everyone can read all objects through the domain without authentication. Otherwise media are read with presigned URLs."
  default     = false
}

variable "domain" {
  type        = string
  description = "The host name for public media. Its zone must be in the same Cloudflare account."
  default     = null

  validation {
    condition     = var.domain == null || (length(coalesce(var.domain, "x")) <= 253 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain)))
    error_message = "domain must be a lower-case host name such as cdn.example.org."
  }

  validation {
    condition     = (var.domain != null) == var.public
    error_message = "domain is required with public = true and not allowed otherwise, because it makes the whole bucket public."
  }
}

variable "zone_id" {
  type        = string
  description = "The id of the domain's Cloudflare zone."
  default     = null

  validation {
    condition     = (var.zone_id == null) == (var.domain == null) && (var.zone_id == null || can(regex("^[0-9a-f]{32}$", var.zone_id)))
    error_message = "zone_id must have 32 hexadecimal digits if domain is set, and must be null otherwise."
  }
}
