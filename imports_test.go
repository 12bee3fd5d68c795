package dynomad_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports keeps the imports pointing one way: cmd -> {server, store, nomad, jobs/reconcile} -> jobs -> root, and client beside
// them. Each ban has its reason. The packages that a package reaches through others count too.
func TestImports(t *testing.T) {
	t.Parallel()
	const (
		mod   = "github.com/dynomad/dynomad"
		nomad = "github.com/hashicorp/nomad/api"
	)
	bans := map[string]map[string]string{
		".": {
			"net/http":      "the nouns know nothing of HTTP",
			"database/sql":  "the nouns know nothing of SQL",
			"encoding/json": "wire shapes are the server's",
			nomad:           "Nomad is the business of jobs and nomad",
			mod + "/...":    "the root package imports none of its children",
		},
		"./server/...": {
			mod + "/store": "the server goes through the platform",
			mod + "/nomad": "the server goes through the platform",
			mod + "/jobs":  "the server goes through the platform",
			"database/sql": "the server goes through the platform",
			nomad:          "the server goes through the platform",
		},
		"./store": {
			mod + "/server": "the store knows nothing of the API",
			mod + "/nomad":  "the store knows nothing of the cluster",
			mod + "/jobs":   "the store knows nothing of the cluster",
			nomad:           "the store knows nothing of the cluster",
		},
		"./jobs/...": {
			mod + "/store":  "jobs decides, others keep",
			mod + "/server": "jobs decides, others speak",
			mod + "/nomad":  "jobs decides, others act",
			"database/sql":  "jobs is pure",
		},
		"./nomad/...": {
			mod + "/store":          "the adapter knows nothing of what is wanted",
			mod + "/server":         "the adapter knows nothing of the API",
			mod + "/jobs/reconcile": "the loop calls the adapter, not the other way round",
		},
		"./client": {
			mod + "/...": "strangers import the client alone, without cgo",
			"*.*/...":    "the client needs nothing but the standard library",
		},
		"./cmd/dynomad/...": {
			mod + "/nomad/nomadtest": "what is shipped starts no test agents",
			mod + "/cmd/apitest":     "what is shipped serves no test",
			"testing":                "what is shipped is no test",
		},
		"./cmd/dynomad/cli": {
			mod + "/store":  "the commands go through the API",
			mod + "/server": "the commands go through the API",
			mod + "/nomad":  "the commands go through the API",
			mod + "/jobs":   "the commands go through the API",
			nomad:           "the commands go through the API",
			"database/sql":  "the commands go through the API",
		},
	}
	for pkg, banned := range bans {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			for _, dep := range deps(t, pkg) {
				if reason, bad := banned[dep]; bad {
					t.Errorf("%s imports %s: %s", pkg, dep, reason)
				}
				if reason, bad := banned[mod+"/..."]; bad && strings.HasPrefix(dep, mod+"/") && "./"+strings.TrimPrefix(dep, mod+"/") != pkg {
					t.Errorf("%s imports %s: %s", pkg, dep, reason)
				}
				host, _, _ := strings.Cut(dep, "/")
				if reason, bad := banned["*.*/..."]; bad && strings.Contains(host, ".") && !strings.HasPrefix(dep, mod+"/") {
					t.Errorf("%s imports %s: %s", pkg, dep, reason)
				}
			}
		})
	}
}

// deps lists what the packages of a pattern import, directly or not; nomadtest is a test's tool and left out.
func deps(t *testing.T, pattern string) []string {
	t.Helper()
	list := goList(t, pattern)
	var args []string
	for _, p := range list {
		if !strings.HasSuffix(p, "/nomadtest") {
			args = append(args, p)
		}
	}
	return goList(t, append([]string{"-deps"}, args...)...)
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}
