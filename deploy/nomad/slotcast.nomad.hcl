# The gateway in containers of Nomad's docker driver. README.md, beside this, says what the clients need and why. `slots` and `gateways` are
# given at `nomad job run -var slots=20`; each allocation is a gateway of its own, with that many slots and the data of its allocation.

variable "image" {
  type    = string
  default = "slotcast:latest"
}

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

variable "seccomp_profile" {
  type        = string
  default     = "/etc/slotcast/seccomp-bwrap.json"
  description = "deploy/seccomp-bwrap.json, on every client"
}

job "slotcast" {
  type = "service"

  group "gateway" {
    count = var.gateways

    # Recordings, workspaces and keys. Sticky: an update of the job on the same client finds them again.
    ephemeral_disk {
      size    = 20480
      sticky  = true
      migrate = true
    }

    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    network {
      mode = "bridge"
      port "http" {
        to = 8080
      }
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
      driver = "docker"
      # Longer than SLOTCAST_DRAIN_MS and the emptying of workspaces. The client's max_kill_timeout must allow it.
      kill_timeout = "90s"

      config {
        image           = var.image
        ports           = ["http"]
        init            = false
        readonly_rootfs = true
        pids_limit      = 4096
        # The driver can't uncover /proc, so root mounts a whole one and becomes an ordinary user before the gateway starts.
        entrypoint = ["/opt/slotcast/deploy/nomad/entrypoint.sh"]
        args       = ["serve"]
        cap_drop   = ["all"]
        cap_add    = ["sys_admin", "setuid", "setgid", "setpcap"]
        security_opt = [
          "no-new-privileges",
          "seccomp=${var.seccomp_profile}",
          "apparmor=unconfined",
        ]

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 67108864
            mode = 1023
          }
        }
      }

      user = "0:0"

      env {
        SLOTCAST_SLOTS      = "${var.slots}"
        SLOTCAST_DATA_DIR   = "${NOMAD_ALLOC_DIR}/data/slotcast"
        SLOTCAST_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/token"
      }

      # The admin's token of 32 characters or more: nomad var put nomad/jobs/slotcast token=…
      template {
        destination = "secrets/token"
        data        = "{{ with nomadVar \"nomad/jobs/slotcast\" }}{{ .token }}{{ end }}"
        perms       = "0400"
        uid         = 1000
        gid         = 1000
      }

      resources {
        cpu    = 2000
        memory = 4096
      }
    }
  }
}
