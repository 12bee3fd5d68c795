package fallback

import (
	"net"
	"regexp"
	"strings"

	"github.com/dynomad/dynomad"
)

// namePattern is what the full name of an app can be. An app's id does not fit it: only names are hosts.
var namePattern = regexp.MustCompile(`^[a-z0-9]+-[a-z0-9][a-z0-9-]*$`)

// appName gives the full name of the app that a Host header means: one label under the domain, in any case, with or without
// a port and the root's dot. It is false for every other host.
func appName(host, domain string) (string, bool) {
	host = strings.ToLower(host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	name, ok := strings.CutSuffix(host, "."+strings.ToLower(domain))
	if !ok || len(name) > dynomad.MaxAppName || !namePattern.MatchString(name) {
		return "", false
	}
	return name, true
}
