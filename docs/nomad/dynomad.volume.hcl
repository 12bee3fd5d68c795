# The daemon's folder, on one node: nomad volume create dynomad.volume.hcl
name      = "dynomad"
type      = "host"
plugin_id = "mkdir"
# node_id = "…" # the node on which it is to run; without, Nomad chooses one

capability {
  access_mode     = "single-node-single-writer"
  attachment_mode = "file-system"
}

# The user of the image.
parameters {
  mode = "0700"
  uid  = "65532"
  gid  = "65532"
}
