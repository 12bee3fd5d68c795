# Dynomad as a job of the very Nomad that it manages: docs/install.md tells what has to be there first.
#
#   nomad job run -var image=registry.example/dynomad:1.0 -var app_domain=apps.example dynomad.nomad.hcl

variable "image" {
  type        = string
  description = "The image, where the node's Docker can pull it, or has it."
}

variable "app_domain" {
  type        = string
  default     = "apps.localhost"
  description = "App x-default is served at x-default.<app_domain>."
}

variable "port" {
  type        = number
  default     = 5000
  description = "Of the API, on the node's address."
}

variable "nomad_addr" {
  type        = string
  default     = "http://127.0.0.1:4646"
  description = "Nomad, as it is reached from the node."
}

variable "consul_addr" {
  type        = string
  default     = "127.0.0.1:8500"
  description = "The node's Consul agent."
}

job "dynomad" {
  type        = "service"
  datacenters = ["*"]

  group "daemon" {
    count = 1

    # The records are on the disk of one node, and the job runs where they are. If that node is lost, the apps run on without the
    # daemon: make the volume anew elsewhere and restore a backup into it.
    volume "data" {
      type            = "host"
      source          = "dynomad"
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
    }

    network {
      port "api" {
        static = var.port
      }
      port "fallback" {} # pages for apps that cannot answer: routers find them in Consul
    }

    service {
      name = "dynomad"
      port = "api"

      check {
        type     = "http"
        path     = "/healthz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    # The old daemon ends before the new one begins. Never back by itself: an older version refuses records that a newer one has
    # migrated.
    update {
      max_parallel     = 1
      min_healthy_time = "5s"
      healthy_deadline = "2m"
      auto_revert      = false
    }

    # It is tried again for ever: while another daemon holds the lock it ends.
    restart {
      attempts = 5
      interval = "1m"
      delay    = "5s"
      mode     = "delay"
    }

    task "dynomad" {
      driver       = "docker"
      kill_timeout = "20s"

      config {
        image           = var.image
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/dynomad"
      }

      env {
        DYNOMAD_LISTEN          = "${NOMAD_ADDR_api}"
        DYNOMAD_FALLBACK_LISTEN = "${NOMAD_ADDR_fallback}"
        DYNOMAD_APP_DOMAIN      = var.app_domain
        NOMAD_ADDR              = var.nomad_addr
        NOMAD_NAMESPACE         = "default" # of the apps; Nomad would set this job's
        CONSUL_HTTP_ADDR        = var.consul_addr
        TMPDIR                  = "/local"
      }

      # Every item of this variable is a setting: DYNOMAD_ROOT_TOKEN, NOMAD_TOKEN, CONSUL_HTTP_TOKEN and whatever of docs/settings.md
      # you like. A change restarts the daemon.
      template {
        destination = "secrets/dynomad.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/dynomad" }}{{ range .Tuples }}
          {{ .K }}={{ .V | toJSON }}
          {{ end }}{{ end }}
        EOT
      }

      resources {
        cpu        = 200
        memory     = 256
        memory_max = 1024
      }
    }
  }
}
