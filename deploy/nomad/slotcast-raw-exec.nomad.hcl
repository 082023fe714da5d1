# The gateway as a process of the client itself, by Nomad's raw_exec driver: no container around it, slots with user ids and control groups of
# their own. README.md, beside this, says what the clients need and why.

variable "slots" {
  type        = number
  default     = 10
  description = "slots of each allocation"
}

variable "gateways" {
  type        = number
  default     = 1
  description = "allocations, on different hosts"
}

variable "directory" {
  type        = string
  default     = "/opt/slotcast"
  description = "a clone in which npm start has run once, on every client"
}

job "slotcast-raw-exec" {
  type = "service"

  group "gateway" {
    count = var.gateways

    ephemeral_disk {
      size    = 20480
      sticky  = true
      migrate = true
    }

    # Two gateways of root's on one host would give the same user ids to their slots.
    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    network {
      port "http" {}
    }

    service {
      name     = "slotcast"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "10s"
        timeout  = "5s"
      }
    }

    task "slotcast" {
      driver       = "raw_exec"
      kill_timeout = "90s"

      config {
        command = "/usr/bin/node"
        args    = ["${var.directory}/dist/cli/main.js", "serve"]
      }

      # The data directory is $NOMAD_ALLOC_DIR/data, without being told.
      env {
        SLOTCAST_SLOTS           = "${var.slots}"
        SLOTCAST_HOST            = "${NOMAD_IP_http}"
        SLOTCAST_PORT            = "${NOMAD_PORT_http}"
        SLOTCAST_TOKEN_FILE      = "${NOMAD_SECRETS_DIR}/token"
        SLOTCAST_REQUIRE_SANDBOX = "true"
      }

      template {
        destination = "secrets/token"
        data        = "{{ with nomadVar \"nomad/jobs/slotcast-raw-exec\" }}{{ .token }}{{ end }}"
        perms       = "0400"
      }

      resources {
        cpu    = 2000
        memory = 4096
      }
    }
  }
}
