# What the daemon's token needs in Consul: to read the health of the apps' services.
service_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
