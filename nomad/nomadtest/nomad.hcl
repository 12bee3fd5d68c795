# One agent that is server and client. With a data directory, unlike -dev, it survives being killed.

name       = "nomadtest"
data_dir   = {{ printf "%q" .DataDir }}
log_level  = {{ printf "%q" .LogLevel }}
bind_addr  = {{ printf "%q" .LoopbackAddr }}

disable_update_check = true
leave_on_interrupt   = false
leave_on_terminate   = false

ports {
  http = {{ .NomadHTTP }}
  rpc  = {{ .NomadRPC }}
  serf = {{ .NomadSerf }}
}

advertise {
  http = "{{ .LoopbackAddr }}:{{ .NomadHTTP }}"
  rpc  = "{{ .LoopbackAddr }}:{{ .NomadRPC }}"
  serf = "{{ .LoopbackAddr }}:{{ .NomadSerf }}"
}

limits {
  http_max_conns_per_client = 2000
}

acl {
  enabled = {{ .ACL }}
}

server {
  enabled          = true
  bootstrap_expect = 1
  raft_multiplier  = 1

  default_scheduler_config {
    memory_oversubscription_enabled = true
  }
}

client {
  enabled = true
  servers = ["{{ .LoopbackAddr }}:{{ .NomadRPC }}"]

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
    ui_url = "http://{{ .ConsulAddr }}/ui"
  }
}
