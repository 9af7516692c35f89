variable "environment" {
  type        = string
  description = "The environment's name in deploy.yaml."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}[a-z0-9]$", var.environment))
    error_message = "environment: 2 to 12 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "account_id" {
  type        = string
  description = "The Cloudflare account that the bucket belongs to."

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.account_id))
    error_message = "account_id: 32 hexadecimal digits, from the account's overview in Cloudflare's dashboard."
  }
}

variable "bucket" {
  type        = string
  description = "The bucket for media. It must hold nothing else: R2 can make public only a whole bucket."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "jurisdiction" {
  type        = string
  description = "Where data must stay: default (anywhere), eu or fedramp. It is part of the endpoint's name and cannot change later."
  default     = "default"

  validation {
    condition     = contains(["default", "eu", "fedramp"], var.jurisdiction)
    error_message = "jurisdiction: default, eu or fedramp."
  }
}

variable "allowed_origins" {
  type        = set(string)
  description = "The web origins that may read media and send uploads to the bucket."

  validation {
    condition = length(var.allowed_origins) > 0 && alltrue([
      for origin in var.allowed_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$|^http://localhost(:[0-9]+)?$", origin))
    ])
    error_message = "allowed_origins: exact origins such as https://media.example.org, at least one, without a path and never *."
  }

  validation {
    condition     = var.environment != "production" || !anytrue([for origin in var.allowed_origins : startswith(origin, "http:")])
    error_message = "allowed_origins: no http://localhost in production."
  }
}

variable "public" {
  type        = bool
  description = "Whether everyone may read all objects by the domain, without signing in. Without it, media are read by presigned addresses."
  default     = false
}

variable "domain" {
  type        = string
  description = "The host name that public media are delivered from. Its zone must be at Cloudflare, in the same account."
  default     = null

  validation {
    condition     = var.domain == null || (length(coalesce(var.domain, "x")) <= 253 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain)))
    error_message = "domain: a lower-case host name such as cdn.example.org."
  }

  validation {
    condition     = (var.domain != null) == var.public
    error_message = "domain: needed with public = true and refused without, as it opens the whole bucket."
  }
}

variable "zone_id" {
  type        = string
  description = "The Cloudflare zone of the domain."
  default     = null

  validation {
    condition     = (var.zone_id == null) == (var.domain == null) && (var.zone_id == null || can(regex("^[0-9a-f]{32}$", var.zone_id)))
    error_message = "zone_id: 32 hexadecimal digits with a domain, none without."
  }
}
