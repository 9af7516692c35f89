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

variable "account_id" {
  type        = string
  description = "The AWS account that all of this belongs to; credentials of another one are refused."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: 12 digits."
  }
}

variable "region" {
  type        = string
  description = "The AWS region of bucket and queues."

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]$", var.region))
    error_message = "region: a region such as eu-north-1."
  }
}

variable "bucket" {
  type        = string
  description = "The bucket for media. No one else in the world may have it."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 lower-case letters, digits and hyphens. A dot would break TLS on <bucket>.s3.<region>.amazonaws.com."
  }
}

variable "state_bucket" {
  type        = string
  description = "The bucket of this stack's state: the deployer may use its own state there and no other."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket)) && var.state_bucket != var.bucket
    error_message = "state_bucket: 3 to 63 lower-case letters, digits and hyphens, and not the bucket for media."
  }
}

variable "state_key" {
  type        = string
  description = "The state's key in that bucket, as the backend has it."

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9/_.-]*$", var.state_key))
    error_message = "state_key: letters, digits, slashes, dots, hyphens and underscores, without a slash first."
  }
}

# --- Media

variable "media_prefixes" {
  type        = set(string)
  description = "Where media are in the bucket: what the service may use and what CloudFront may read. uploads/ must be one."
  default     = ["uploads/", "thumbs/", "clipboard/"]

  validation {
    condition     = contains(var.media_prefixes, "uploads/") && alltrue([for prefix in var.media_prefixes : can(regex("^([a-z0-9_-]+/)+$", prefix))])
    error_message = "media_prefixes: folders such as uploads/ (which must be one), with a slash at the end and without wildcards."
  }
}

variable "allowed_origins" {
  type        = set(string)
  description = "The web origins that may send uploads to the bucket and read media."

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

variable "undelete_days" {
  type        = number
  description = "How many days a deleted or replaced object can be brought back."
  default     = 30

  validation {
    condition     = var.undelete_days == floor(var.undelete_days) && var.undelete_days >= 1 && var.undelete_days <= 365
    error_message = "undelete_days: 1 to 365."
  }
}

# --- The queue

variable "visibility_seconds" {
  type        = number
  description = "How long a received message is hidden from other workers; the worker extends it while it works."
  default     = 120

  validation {
    condition     = var.visibility_seconds == floor(var.visibility_seconds) && var.visibility_seconds >= 30 && var.visibility_seconds <= 43200
    error_message = "visibility_seconds: 30 to 43200."
  }
}

variable "max_receives" {
  type        = number
  description = "How often a message is tried before it goes to the dead letters."
  default     = 5

  validation {
    condition     = var.max_receives == floor(var.max_receives) && var.max_receives >= 2 && var.max_receives <= 100
    error_message = "max_receives: 2 to 100; with 1, a worker that is stopped in mid-work loses its message to the dead letters."
  }
}

# --- Delivery

variable "signing_public_keys" {
  type        = map(string)
  description = "Public keys (PEM, RSA 2048) whose owners may sign download addresses, by a name of their own. Two while a key is being replaced."

  validation {
    condition     = length(var.signing_public_keys) >= 1 && length(var.signing_public_keys) <= 5 && alltrue([for name in keys(var.signing_public_keys) : can(regex("^[a-z0-9-]{1,40}$", name))])
    error_message = "signing_public_keys: 1 to 5 keys, named by lower-case letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for pem in values(var.signing_public_keys) : can(regex("^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----$", trimspace(pem)))])
    error_message = "signing_public_keys: the public half in PEM (openssl rsa -pubout). The private half is the service's secret and never comes here."
  }
}

variable "domain" {
  type        = string
  description = "The host name that media are delivered from; without one, CloudFront's own."
  default     = null

  validation {
    condition     = var.domain == null || (length(coalesce(var.domain, "x")) <= 64 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.){2,}[a-z]{2,63}$", var.domain)))
    error_message = "domain: a lower-case host name of at most 64 characters (the certificate's limit), such as cdn.example.org."
  }
}

variable "dns_zone_id" {
  type        = string
  description = "The Route 53 hosted zone that answers for the domain."
  default     = null

  validation {
    condition     = (var.dns_zone_id == null) == (var.domain == null) && (var.dns_zone_id == null || can(regex("^Z[A-Z0-9]{1,31}$", var.dns_zone_id)))
    error_message = "dns_zone_id: an id such as Z0123456789ABCDEFGHIJ with a domain, none without."
  }
}

variable "dns_access_key_id" {
  type        = string
  description = "Credentials that may change records of that zone and nothing else. Needed with a domain."
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = var.domain == null || var.dns_access_key_id != null
    error_message = "dns_access_key_id: needed with a domain; the deployer has no right on DNS."
  }
}

variable "dns_secret_access_key" {
  type        = string
  description = "The secret that belongs to dns_access_key_id."
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = var.domain == null || var.dns_secret_access_key != null
    error_message = "dns_secret_access_key: needed with a domain."
  }
}

# --- Who deploys

variable "github_repository" {
  type        = string
  description = "The one repository whose workflows may deploy, as owner/name."

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.github_repository))
    error_message = "github_repository: owner/name, without wildcards."
  }
}

variable "github_environment" {
  type        = string
  description = "The GitHub environment that a deploying job must name; its protection rules are what guards this role."
  default     = "production"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.github_environment))
    error_message = "github_environment: letters, digits, hyphens and underscores."
  }
}

variable "github_ids" {
  type = object({
    owner      = number
    repository = number
  })
  description = "The owner's and the repository's numbers, for repositories whose tokens name them (those made, renamed or moved after 2026-07-15). With them, tokens by names only are refused: a name can become somebody else's."
  default     = null
}

variable "github_oidc_provider_arn" {
  type        = string
  description = "GitHub's identity provider, if the account has it already; an account can have only one. Without it, it is made here."
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null || can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn: arn:aws:iam::<account>:oidc-provider/token.actions.githubusercontent.com."
  }
}
