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
