# What the daemon's token needs in Consul. To read the health of the apps' services:
service_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

# To register the pages for apps that cannot answer (service dynomad-fallback-<installation>):
service_prefix "dynomad-fallback-" {
  policy = "write"
}

# To be the only daemon of its installation (key dynomad/<installation>/lock):
key_prefix "dynomad/" {
  policy = "write"
}

# The session of that lock belongs to the node whose agent the daemon talks to. Name just those nodes if you like:
#   session "node-1" { policy = "write" }
session_prefix "" {
  policy = "write"
}
