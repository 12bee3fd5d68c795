# One agent: server, client or both. With a data directory, unlike -dev, it survives being killed.

name       = {{ printf "%q" .Name }}
data_dir   = {{ printf "%q" .DataDir }}
log_level  = {{ printf "%q" .LogLevel }}
bind_addr  = {{ printf "%q" .LoopbackAddr }}

disable_update_check = true
leave_on_interrupt   = false
leave_on_terminate   = false

ports {
  http = {{ .HTTP }}
{{- if .Server }}
  rpc  = {{ .RPC }}
  serf = {{ .Serf }}
{{- end }}
}

advertise {
  http = "{{ .LoopbackAddr }}:{{ .HTTP }}"
  rpc  = "{{ .LoopbackAddr }}{{ if .Server }}:{{ .RPC }}{{ end }}"
  serf = "{{ .LoopbackAddr }}{{ if .Server }}:{{ .Serf }}{{ end }}"
}

limits {
  http_max_conns_per_client = 2000
}

acl {
  enabled = {{ .ACL }}
}
{{ if .Server }}
server {
  enabled          = true
  bootstrap_expect = {{ len .ServerRPC }}
  raft_multiplier  = 1
{{- if gt (len .ServerSerf) 1 }}

  server_join {
    retry_join     = [{{ range .ServerSerf }}"{{ . }}", {{ end }}]
    retry_interval = "1s"
  }
{{- end }}

  default_scheduler_config {
    memory_oversubscription_enabled = true
  }
}
{{ end }}
{{- if .Client }}
client {
  enabled = true
  servers = [{{ range .ServerRPC }}"{{ . }}", {{ end }}]

  # Never the loopback interface: there Docker's proxy accepts connections for containers that do not listen.
  network_interface = {{ printf "%q" .Bridge }}
  min_dynamic_port  = {{ .DynamicMin }}
  max_dynamic_port  = {{ .DynamicMax }}

  # Tests look at allocations that have ended, also on a machine whose disk is nearly full.
  gc_interval              = "1m"
  gc_disk_usage_threshold  = 99
  gc_inode_usage_threshold = 99
  gc_max_allocs            = 2000

  # Elsewhere than in their clouds these only wait for answers that never come.
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }
}

plugin "docker" {
  config {
    endpoint         = {{ printf "%q" .DockerHost }}
    allow_privileged = false

    # When Docker begins another of its own files of a container's output, the last second's lines may come twice.
    logging {
      type = "json-file"
      config {
        max-size = "20m"
        max-file = "2"
      }
    }

    # Tests hold a pull up for as long as it takes a busy machine to look at it.
    pull_activity_timeout = "15m"

    # Test images are in no registry: once removed they are gone.
    gc {
      image = false
      dangling_containers {
        enabled = false
      }
    }
  }
}
{{ end }}
consul {
  address          = {{ printf "%q" .ConsulAddr }}
  token            = {{ printf "%q" .ConsulToken }}
  server_auto_join = false
  client_auto_join = false
}

telemetry {
  collection_interval        = "1h"
  publish_allocation_metrics = false
  publish_node_metrics       = false
}

ui {
  enabled = true
  consul {
    ui_url = "http://{{ .ConsulUI }}/ui"
  }
}
