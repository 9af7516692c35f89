variable "image" {
  default = "standin-test-web:1"
}

variable "secret" {
  default   = ""
  sensitive = true
}

variable "path" {
  default = "/version"
}

variable "command" {
  type    = list(string)
  default = null
}

variable "tags" {
  type    = list(string)
  default = []
}

resource "scaleway_container_namespace" "main" {
  name                         = "media"
  environment_variables        = { SHARED = "shared", BOTH = "the namespace's" }
  secret_environment_variables = { SECRET = "the namespace's" }
}

resource "scaleway_container" "app" {
  name                         = "app"
  namespace_id                 = scaleway_container_namespace.main.id
  image                        = var.image
  command                      = var.command
  tags                         = var.tags
  port                         = 8765
  cpu_limit                    = 250
  memory_limit_bytes           = 134217728
  environment_variables        = { OPEN = "open", BOTH = "its own" }
  secret_environment_variables = { SECRET = var.secret }

  startup_probe {
    failure_threshold = 3
    interval          = "1s"
    timeout           = "1s"
    http {
      path = var.path
    }
  }
  liveness_probe {
    failure_threshold = 3
    interval          = "1s"
    timeout           = "1s"
    tcp               = true
  }
}

output "address" {
  value = scaleway_container.app.public_endpoint
}
