# --- Service

variable "image" {
  type        = string
  description = "The image with its digest: rg.<region>.scw.cloud/<namespace>/<name>@sha256:<digest>."

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must be a full reference that ends with @sha256: and 64 hexadecimal digits. A tag can point to another image after the plan was approved."
  }
}

variable "release" {
  type        = string
  description = "The version that the readiness check must report. The service gets it as SERVICE_VERSION."

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,100}$", var.release))
    error_message = "release must have 1 to 100 letters, digits, dots, hyphens and underscores."
  }
}

variable "settings" {
  type        = map(string)
  description = "Settings that are not secret. The stack adds those that it provides: bucket, keys and release."
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.settings), local.secret_names)) == 0
    error_message = "settings: ${join(", ", setintersection(keys(var.settings), local.secret_names))} must be in secrets: plain variables are visible to every user who can read the container."
  }

  validation {
    condition     = length(setsubtract(keys(var.settings), local.declared_names)) == 0
    error_message = "settings: ${join(", ", setsubtract(keys(var.settings), local.declared_names))} not in ${var.settings_file}: the service does not read it, and it could be secret."
  }

  validation {
    condition     = !anytrue([for name in keys(var.settings) : name == "PORT" || startswith(name, "SCW_")])
    error_message = "settings: PORT and SCW_* are reserved for the platform. To change PORT, set the variable port."
  }

  # `length` of the text would count combined characters as one.
  validation {
    condition     = alltrue([for value in values(var.settings) : length(split("", value)) <= 1000])
    error_message = "settings: ${join(", ", [for name, value in var.settings : name if length(split("", value)) > 1000])} longer than 1000 characters, the platform's limit of a plain variable. A secret may have 65536 bytes."
  }
}

variable "secrets" {
  type        = map(string)
  description = "Settings that are secret. They are stored in the container's secret variables and in the encrypted state."
  sensitive   = true
  default     = {}

  validation {
    condition     = length(setsubtract(nonsensitive(keys(var.secrets)), local.secret_names)) == 0
    error_message = "secrets: ${join(", ", setsubtract(nonsensitive(keys(var.secrets)), local.secret_names))} not secret in ${var.settings_file}: move it to settings, or declare it as secret."
  }

  # The number of bytes, from the length in Base64.
  validation {
    condition     = alltrue([for value in values(var.secrets) : floor(length(replace(base64encode(value), "=", "")) * 3 / 4) <= 65536])
    error_message = "secrets: ${join(", ", [for name in nonsensitive(keys(var.secrets)) : name if nonsensitive(floor(length(replace(base64encode(var.secrets[name]), "=", "")) * 3 / 4) > 65536)])} longer than 65536 bytes, the platform's limit."
  }

  # The provider never sends an empty value, so the container would keep the previous one.
  validation {
    condition     = alltrue([for value in values(var.secrets) : value != ""])
    error_message = "secrets: ${join(", ", [for name in nonsensitive(keys(var.secrets)) : name if nonsensitive(var.secrets[name] == "")])} empty: the provider does not send an empty secret, and the container would keep the previous value. Remove the name instead."
  }
}

variable "port" {
  type        = number
  description = "The port that the service listens on. The platform sets it as PORT."
  default     = 3000

  validation {
    condition     = var.port == floor(var.port) && var.port >= 1024 && var.port <= 65535
    error_message = "port must be a whole number from 1024 to 65535. The image's user cannot listen on lower ports."
  }

  validation {
    condition     = !contains([8008, 8012, 8013, 8022, 9090, 9091], var.port)
    error_message = "port must not be 8008, 8012, 8013, 8022, 9090 or 9091: the platform uses these."
  }
}

variable "liveness_path" {
  type        = string
  description = "The path of the liveness probe. It must not depend on other services: an instance whose probe fails is taken out, so it gets no more requests."
  default     = "/api/health/liveness"

  validation {
    condition     = can(regex("^/[A-Za-z0-9/_.-]{0,99}$", var.liveness_path))
    error_message = "liveness_path must be a path that starts with a slash and has at most 100 characters."
  }
}

variable "cpu_mvcpu" {
  type        = number
  description = "CPU limit of each instance, in thousandths of a vCPU."
  default     = 1000

  validation {
    condition     = var.cpu_mvcpu == floor(var.cpu_mvcpu) && var.cpu_mvcpu >= 70 && var.cpu_mvcpu <= 6000
    error_message = "cpu_mvcpu must be a whole number from 70 to 6000."
  }
}

variable "memory_bytes" {
  type        = number
  description = "Memory limit of each instance, in bytes. Files in /tmp count as memory."
  default     = 1073741824

  validation {
    condition     = var.memory_bytes == floor(var.memory_bytes) && var.memory_bytes >= 128000000 && var.memory_bytes <= 12288000000
    error_message = "memory_bytes must be a whole number from 128000000 (128 MB) to 12288000000 (12288 MB)."
  }

  validation {
    condition     = var.cpu_mvcpu < 1000 || (var.memory_bytes >= var.cpu_mvcpu * 1000000 && var.memory_bytes <= var.cpu_mvcpu * 4000000)
    error_message = "memory_bytes must be from ${var.cpu_mvcpu * 1000000} to ${var.cpu_mvcpu * 4000000} with cpu_mvcpu = ${var.cpu_mvcpu}: the platform requires 1 to 4 MB for each thousandth of a vCPU."
  }
}

variable "min_scale" {
  type        = number
  description = "The minimum number of instances. With 0, the first request after an idle time waits for a start."
  default     = 0

  validation {
    condition     = var.min_scale == floor(var.min_scale) && var.min_scale >= 0 && var.min_scale <= min(10, var.max_scale)
    error_message = "min_scale must be a whole number from 0 to max_scale, and at most 10, the platform's limit."
  }
}

variable "max_scale" {
  type        = number
  description = "The maximum number of instances. Each instance opens its own database connections."
  default     = 1

  validation {
    condition     = var.max_scale == floor(var.max_scale) && var.max_scale >= 1 && var.max_scale <= 50
    error_message = "max_scale must be a whole number from 1 to 50, the platform's limit."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "The time limit of a request, in seconds."
  default     = 300

  validation {
    condition     = var.timeout_seconds == floor(var.timeout_seconds) && var.timeout_seconds >= 10 && var.timeout_seconds <= 3600
    error_message = "timeout_seconds must be a whole number from 10 to 3600."
  }
}
