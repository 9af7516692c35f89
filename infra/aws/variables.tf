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

variable "account_id" {
  type        = string
  description = "The AWS account id. The provider rejects credentials of other accounts."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "region" {
  type        = string
  description = "The AWS region of the bucket and the queues."

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]$", var.region))
    error_message = "region must be an AWS region such as eu-north-1."
  }
}

variable "bucket" {
  type        = string
  description = "The name of the media bucket. Bucket names are globally unique."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must have 3 to 63 lower-case letters, digits and hyphens. A dot would break TLS on <bucket>.s3.<region>.amazonaws.com."
  }
}

variable "state_bucket" {
  type        = string
  description = "The bucket of this stack's state. The deployer can access only this state in it."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket)) && var.state_bucket != var.bucket
    error_message = "state_bucket must have 3 to 63 lower-case letters, digits and hyphens, and must not be the media bucket."
  }
}

variable "state_key" {
  type        = string
  description = "The state's key in the state bucket, as in the backend configuration."

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9/_.-]*$", var.state_key))
    error_message = "state_key must have only letters, digits, slashes, dots, hyphens and underscores, and must not start with a slash."
  }
}

# --- Media

variable "media_prefixes" {
  type        = set(string)
  description = "The prefixes of media in the bucket, which the service and CloudFront can access. Must contain uploads/."
  default     = ["uploads/", "thumbs/", "clipboard/", "public/"]

  validation {
    condition     = contains(var.media_prefixes, "uploads/") && alltrue([for prefix in var.media_prefixes : can(regex("^([a-z0-9_-]+/)+$", prefix))])
    error_message = "media_prefixes must contain uploads/. Each prefix must end with a slash and have no wildcards."
  }
}

variable "allowed_origins" {
  type        = set(string)
  description = "The web origins that can upload to the bucket and read media."

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

variable "undelete_days" {
  type        = number
  description = "How many days a deleted or overwritten object can be restored."
  default     = 30

  validation {
    condition     = var.undelete_days == floor(var.undelete_days) && var.undelete_days >= 1 && var.undelete_days <= 365
    error_message = "undelete_days must be a whole number from 1 to 365."
  }
}

# --- Queue

variable "visibility_seconds" {
  type        = number
  description = "The queue's visibility timeout. The worker extends it while it processes a message."
  default     = 120

  validation {
    condition     = var.visibility_seconds == floor(var.visibility_seconds) && var.visibility_seconds >= 30 && var.visibility_seconds <= 43200
    error_message = "visibility_seconds must be a whole number from 30 to 43200."
  }
}

variable "max_receives" {
  type        = number
  description = "How often a message is received before it moves to the dead-letter queue."
  default     = 5

  validation {
    condition     = var.max_receives == floor(var.max_receives) && var.max_receives >= 2 && var.max_receives <= 100
    error_message = "max_receives must be a whole number from 2 to 100. With 1, a message moves to the dead-letter queue when its worker is stopped."
  }
}

# --- Delivery

variable "signing_public_keys" {
  type        = map(string)
  description = "The public keys (PEM, RSA 2048) for signed download URLs, by name. Use two keys during a key rotation."

  validation {
    condition     = length(var.signing_public_keys) >= 1 && length(var.signing_public_keys) <= 5 && alltrue([for name in keys(var.signing_public_keys) : can(regex("^[a-z0-9-]{1,40}$", name))])
    error_message = "signing_public_keys must contain 1 to 5 keys. Their names must have only lower-case letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for pem in values(var.signing_public_keys) : can(regex("^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----$", trimspace(pem)))])
    error_message = "signing_public_keys must contain public keys in PEM format (openssl rsa -pubout). The private key is a secret of the service and must not be in the stack."
  }
}

variable "domain" {
  type        = string
  description = "The host name for media delivery. Without it, the distribution uses its cloudfront.net name."
  default     = null

  validation {
    condition     = var.domain == null || (length(coalesce(var.domain, "x")) <= 64 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.){2,}[a-z]{2,63}$", var.domain)))
    error_message = "domain must be a lower-case host name such as cdn.example.org, with at most 64 characters (the certificate's limit)."
  }
}

variable "dns_zone_id" {
  type        = string
  description = "The id of the Route 53 hosted zone of the domain."
  default     = null

  validation {
    condition     = (var.dns_zone_id == null) == (var.domain == null) && (var.dns_zone_id == null || can(regex("^Z[A-Z0-9]{1,31}$", var.dns_zone_id)))
    error_message = "dns_zone_id must be an id such as Z0123456789ABCDEFGHIJ if domain is set, and null otherwise."
  }
}

variable "dns_access_key_id" {
  type        = string
  description = "The access key id of an AWS user that can change records of this zone and nothing else. Required with domain."
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = var.domain == null || var.dns_access_key_id != null
    error_message = "dns_access_key_id is required with domain. The deployer has no permissions for DNS."
  }
}

variable "dns_secret_access_key" {
  type        = string
  description = "The secret key of dns_access_key_id."
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = var.domain == null || var.dns_secret_access_key != null
    error_message = "dns_secret_access_key is required with domain."
  }
}

# --- Deployment

variable "github_repository" {
  type        = string
  description = "The GitHub repository whose workflows can deploy, as owner/name."

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.github_repository))
    error_message = "github_repository must be owner/name, without wildcards."
  }
}

variable "github_environment" {
  type        = string
  description = "The GitHub environment of the deploy job. Its protection rules decide who can use the deployer role."
  default     = "production"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.github_environment))
    error_message = "github_environment must have only letters, digits, hyphens and underscores."
  }
}

variable "github_ids" {
  type = object({
    owner      = number
    repository = number
  })
  description = "The ids of the owner and the repository. Required for repositories that were created, renamed or transferred after 2026-07-15, because their tokens contain the ids. Tokens without ids are then rejected: another account can take over a name."
  default     = null
}

variable "github_oidc_provider_arn" {
  type        = string
  description = "The ARN of GitHub's identity provider if the account already has it, because an account can have only one. Otherwise this stack creates it."
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null || can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn must be arn:aws:iam::<account>:oidc-provider/token.actions.githubusercontent.com."
  }
}
