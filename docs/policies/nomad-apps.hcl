# Lets the jobs of Dynomad's namespace read their config vars. Apply it once, attached to the namespace:
#   nomad acl policy apply -namespace default dynomad-apps nomad-apps.hcl
namespace "default" {
  variables {
    path "dynomad/*" {
      capabilities = ["read"]
    }
  }
}
