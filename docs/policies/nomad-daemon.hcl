# What the daemon's token needs in Nomad. Repeat the namespace block for every namespace that a space names.
namespace "default" {
  capabilities = ["list-jobs", "read-job", "submit-job", "dispatch-job", "read-logs", "read-fs", "alloc-exec", "alloc-lifecycle", "scale-job"]

  variables {
    path "dynomad/*" {
      capabilities = ["write", "read", "list", "destroy"]
    }
  }
}

# Names of nodes, and the warning about nodes that publish ports on loopback.
node {
  policy = "read"
}

agent {
  policy = "read"
}

# Whether memory oversubscription is on. Without it the daemon takes it for off.
operator {
  policy = "read"
}
