package nomad

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func daemonPolicy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "policies", "nomad-daemon.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func lackingOf(t *testing.T, namespace string, rules ...string) []string {
	t.Helper()
	var policies []policy
	for _, text := range rules {
		p, err := parsePolicy(&api.ACLPolicy{Name: "p", Rules: text})
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	return lacking(policies, []string{namespace})
}

// TestRights_documented holds what is checked against the policy that operators apply: each right of the one is in the other.
func TestRights_documented(t *testing.T) {
	t.Parallel()
	rules := daemonPolicy(t)
	if missing := lackingOf(t, "default", rules); len(missing) > 0 {
		t.Errorf("the documented policy lacks %v", missing)
	}
	p, err := parsePolicy(&api.ACLPolicy{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	var checked []string
	for _, r := range slices.Concat(namespaceRights, clusterRights) {
		checked = append(checked, r.Name)
	}
	documented := slices.Clone(p.Namespaces[0].Capabilities)
	for _, c := range p.Namespaces[0].Variables.Paths[0].Capabilities {
		documented = append(documented, "variables:"+c)
	}
	documented = append(documented, "node:read", "agent:read", "operator:read")
	slices.Sort(checked)
	slices.Sort(documented)
	if !slices.Equal(checked, documented) {
		t.Errorf("checked and documented differ:\n%v\n%v", checked, documented)
	}
	for _, capability := range p.Namespaces[0].Capabilities {
		missing := lackingOf(t, "default", strings.Replace(rules, `"`+capability+`"`, `"csi-list-volume"`, 1))
		if len(missing) != 1 || !strings.HasPrefix(missing[0], capability+" in namespace default") {
			t.Errorf("without %s: %v", capability, missing)
		}
	}
}

func TestRights_policies(t *testing.T) {
	t.Parallel()
	const cluster = `node { policy = "read" }
agent { policy = "write" }
operator { policy = "read" }
`
	const variables = `variables { path "*" { capabilities = ["read", "write", "destroy"] } }`
	cases := []struct {
		name, namespace string
		rules           []string
		want            int // rights that are missing
	}{
		{"nothing", "default", nil, len(namespaceRights) + len(clusterRights)},
		{"the coarse word", "default", []string{cluster + `namespace "default" { 
 policy = "write"
 ` + variables + ` 
}`}, 0},
		{"of two policies", "default", []string{cluster + "namespace \"default\" {\n policy = \"write\"\n}", "namespace \"default\" {\n" + variables + "\n}"}, 0},
		{"by a pattern", "apps-eu", []string{cluster + "namespace \"apps-*\" {\n policy = \"write\"\n" + variables + "\n}"}, 0},
		{"the closest pattern counts", "apps-eu", []string{
			cluster + "namespace \"*\" {\n policy = \"write\"\n" + variables + "\n}\nnamespace \"apps-*\" {\n policy = \"read\"\n}",
		}, len(namespaceRights) - 2},
		{"denied", "default", []string{
			cluster + "namespace \"default\" {\n policy = \"write\"\n" + variables + "\n}", "namespace \"default\" {\n policy = \"deny\"\n}",
		}, len(namespaceRights)},
		{"another namespace", "default", []string{cluster + "namespace \"other\" {\n policy = \"write\"\n" + variables + "\n}"}, len(namespaceRights)},
		{"other variables", "default", []string{
			cluster + "namespace \"default\" {\n policy = \"write\"\n variables {\n path \"other/*\" {\n capabilities = [\"write\"]\n}\n}\n}",
		}, 4},
		{"as JSON", "default", []string{`{"node":{"policy":"read"},"agent":{"policy":"read"},"operator":{"policy":"read"},
			"namespace":{"default":{"policy":"write","variables":{"path":{"dynomad/*":{"capabilities":["read","write","destroy"]}}}}}}`}, 0},
	}
	for _, c := range cases {
		if got := lackingOf(t, c.namespace, c.rules...); len(got) != c.want {
			t.Errorf("%s: lacks %d, want %d: %v", c.name, len(got), c.want, got)
		}
	}
}

func TestGlobFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "dc1", true},
		{"dc1", "dc1", true},
		{"dc1", "dc2", false},
		{"dc*", "dc2", true},
		{"*2", "dc2", true},
		{"d*2", "dc2", true},
		{"d*3", "dc2", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"", "", true},
		{"", "x", false},
	} {
		if got := GlobFits(c.pattern, c.name); got != c.want {
			t.Errorf("GlobFits(%q, %q): %t", c.pattern, c.name, got)
		}
	}
}
