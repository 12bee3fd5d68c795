package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/consul"
	"github.com/dynomad/dynomad/nomad/nomadtest"
	"github.com/dynomad/dynomad/store"
)

// patient is a cluster that answers what the test says, with a data folder and a router.
type patient struct {
	t            *testing.T
	config       *Config
	installation string
	nomad        map[string]string // what GET of a path answers
	consul       map[string]string
	denied       string        // a right that Consul says the token lacks: "session:write"
	nomadAhead   time.Duration // by which the clock of Nomad is
	consulAhead  time.Duration
	router       http.HandlerFunc
	away         map[string]bool // "nomad", "consul", "router"
}

// healthy makes a patient with nothing to find, whose daemon runs.
func healthy(t *testing.T) *patient {
	t.Helper()
	dir := t.TempDir()
	key, err := store.LoadKey(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, databaseFile), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	installation, err := s.Installation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(filepath.Join("..", "..", "docs", "policies", "nomad-daemon.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{t: t, config: defaultConfig(), installation: installation, away: map[string]bool{}}
	p.config.DataDir = dir
	p.nomad = map[string]string{
		"/v1/status/leader":                    `"10.0.0.1:4647"`,
		"/v1/agent/self":                       `{"config":{"Version":{"Version":"1.10.5"}}}`,
		"/v1/acl/token/self":                   `{"Type":"client","Policies":["dynomad"]}`,
		"/v1/acl/policies":                     `[{"Name":"dynomad"}]`,
		"/v1/acl/policy/dynomad":               jsonOf(t, map[string]string{"Name": "dynomad", "Rules": string(rules)}),
		"/v1/operator/scheduler/configuration": `{"SchedulerConfig":{"MemoryOversubscriptionEnabled":true}}`,
		"/v1/nodes":                            "[" + goodNode + "]",
		"/v1/node/n1":                          `{"ID":"n1","Attributes":{"consul.version":"1.20.5"}}`,
	}
	p.consul = map[string]string{
		"/v1/status/leader":               `"10.0.0.1:8300"`,
		"/v1/health/service/consul":       `[{"Service":{"Meta":{"version":"1.20.5"}},"Checks":[]}]`,
		"/v1/catalog/nodes":               `[{"Node":"n1"}]`,
		"/v1/health/state/critical":       `[]`,
		"/v1/health/service/" + p.pages(): `[{"Service":{"ID":"x"},"Checks":[{"Status":"passing"}]}]`,
	}
	p.router = func(w http.ResponseWriter, r *http.Request) {
		if r.Host != doctorHost+".apps.localhost" {
			http.Error(w, "404 page not found", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, `{"id":"not_found","message":"There is no app at this address."}`) //nolint:errcheck // a test's
	}
	p.holdLock(dir)
	return p
}

const goodNode = `{"ID":"n1","Name":"n1","Datacenter":"dc1","NodePool":"default","Version":"1.10.5","Status":"ready",
	"SchedulingEligibility":"eligible","Drivers":{"docker":{"Detected":true,"Healthy":true}},"NodeResources":{"Networks":[{"IP":"10.0.0.1"}]}}`

func (p *patient) pages() string { return "dynomad-fallback-" + p.installation }

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// holdLock makes it look as if a daemon had the folder, and the lock in Consul.
func (p *patient) holdLock(dir string) {
	p.t.Helper()
	release, err := lockDataDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = release() })
	folder, err := os.Open(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	defer folder.Close() //nolint:errcheck // only looked at
	holder, err := holderOf(folder, dir)
	if err != nil {
		p.t.Fatal(err)
	}
	p.held(holder)
}

func (p *patient) held(holder consul.Holder) {
	p.t.Helper()
	text, err := json.Marshal(holder)
	if err != nil {
		p.t.Fatal(err)
	}
	p.consul["/v1/kv/"+consul.LockKey(p.installation)] = jsonOf(p.t, []map[string]any{{"Key": "k", "Value": text, "Session": "s"}})
}

// serve answers from a table. What begins with a status is that and a text: "403 Permission denied".
func (p *patient) serve(name string, table map[string]string, ahead time.Duration) string {
	p.t.Helper()
	if p.away[name] {
		return "http://" + nomadtest.FreeAddr(p.t)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		text, ok := table[r.URL.Path]
		switch {
		case r.URL.Path == "/v1/internal/acl/authorize" && !ok:
			p.authorize(w, r)
		case !ok:
			http.NotFound(w, r)
		case text[0] >= '4' && text[0] <= '5':
			var status int
			_, _ = fmt.Sscan(text, &status)
			http.Error(w, text[4:], status)
		default:
			fmt.Fprint(w, text) //nolint:errcheck // a test's
		}
	}))
	p.t.Cleanup(srv.Close)
	return srv.URL
}

// authorize allows everything but one right.
func (p *patient) authorize(w http.ResponseWriter, r *http.Request) {
	var asked []map[string]any
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		p.t.Error(err)
	}
	for _, a := range asked {
		a["Allow"] = fmt.Sprintf("%s:%s", a["Resource"], a["Access"]) != p.denied
	}
	fmt.Fprint(w, jsonOf(p.t, asked)) //nolint:errcheck // a test's
}

// examine runs doctor.
func (p *patient) examine(ctx context.Context) (diagnosis, error) {
	p.t.Helper()
	var err error
	d := &doctor{config: p.config, http: &http.Client{Timeout: 10 * time.Second}}
	if d.nomad, err = nomad.New(&nomadapi.Config{Address: p.serve("nomad", p.nomad, p.nomadAhead), SecretID: "t"}); err != nil {
		p.t.Fatal(err)
	}
	if d.consul, err = consul.NewProbe(&consulapi.Config{Address: p.serve("consul", p.consul, p.consulAhead)}); err != nil {
		p.t.Fatal(err)
	}
	router := httptest.NewServer(p.router)
	p.t.Cleanup(router.Close)
	if d.router = router.URL; p.away["router"] {
		d.router = "http://" + nomadtest.FreeAddr(p.t)
	}
	var out strings.Builder
	err = d.run(ctx, func(string) string { return "" }, &out, true)
	var got diagnosis
	if bad := json.Unmarshal([]byte(out.String()), &got); bad != nil {
		p.t.Fatalf("%v in %s", bad, out.String())
	}
	return got, err
}

// TestDoctor_healthy has nothing to find.
func TestDoctor_healthy(t *testing.T) {
	t.Parallel()
	got, err := healthy(t).examine(t.Context())
	if err != nil || !got.OK || len(got.Findings) < 13 {
		t.Errorf("%v, %d findings", err, len(got.Findings))
	}
	for _, f := range got.Findings {
		if f.Status != statusOK || f.What == "" {
			t.Errorf("found %+v", f)
		}
	}
}

// doctorFault is something that doctor has to find.
type doctorFault struct {
	name   string
	plant  func(*patient)
	check  string
	status string
	what   string // in what it says
}

func clusterFaults() []doctorFault {
	node := func(old, with string) func(*patient) {
		return func(p *patient) { p.nomad["/v1/nodes"] = "[" + strings.ReplaceAll(goodNode, old, with) + "]" }
	}
	set := func(path, answer string) func(*patient) { return func(p *patient) { p.nomad[path] = answer } }
	setConsul := func(path, answer string) func(*patient) { return func(p *patient) { p.consul[path] = answer } }
	return []doctorFault{
		{"Nomad is away", func(p *patient) { p.away["nomad"] = true }, "nomad", statusWrong, "does not answer"},
		{"Nomad has no leader", set("/v1/status/leader", `""`), "nomad", statusWrong, "no leader"},
		{"Nomad is old", set("/v1/agent/self", `{"config":{"Version":{"Version":"1.9.7+ent"}}}`), "nomad", statusWrong, "1.9.7"},
		{"Nomad does not know the token", set("/v1/agent/self", "403 ACL token not found"), "nomad", statusWrong, "refuses the daemon's token"},
		{"nor its policies", set("/v1/acl/token/self", "403 ACL token not found"), "nomad rights", statusWrong, "cannot be read"},
		{"a policy with nothing", set("/v1/acl/policy/dynomad", `{"Name":"dynomad","Rules":""}`), "nomad rights", statusWrong, "submit-job in namespace default"},
		{"ACLs are off", set("/v1/acl/token/self", "400 ACL support disabled"), "nomad rights", statusAdvice, "ACLs are off"},
		{"ACLs are off, and only the policies say so", func(p *patient) {
			p.nomad["/v1/acl/token/self"] = `{"Type":"client"}`
			p.nomad["/v1/acl/policies"] = "400 ACL support disabled"
		}, "nomad rights", statusAdvice, "ACLs are off"},
		{"clock of Nomad", func(p *patient) { p.nomadAhead = -time.Hour }, "clock of nomad", statusWrong, "differs by"},
		{"no oversubscription", set("/v1/operator/scheduler/configuration", `{"SchedulerConfig":{}}`), "oversubscription", statusAdvice, "is off"},
		{"nodes not to be listed", set("/v1/nodes", "403 Permission denied"), "nodes", statusWrong, "cannot be listed"},
		{"no node", set("/v1/nodes", "[]"), "nodes", statusWrong, "No node is ready"},
		{"another pool", node(`"default"`, `"gpu"`), "nodes", statusWrong, "No node is ready"},
		{"another datacenter", func(p *patient) { p.config.Datacenters = []string{"eu-*"} }, "nodes", statusWrong, "No node is ready"},
		{"node down", node(`"ready"`, `"down"`), "nodes", statusWrong, "No node is ready"},
		{"node drains", func(p *patient) {
			p.nomad["/v1/nodes"] = "[" + goodNode + "," + strings.NewReplacer("n1", "n2", `"eligible"`, `"ineligible"`).Replace(goodNode) + "]"
			p.nomad["/v1/node/n2"] = p.nomad["/v1/node/n1"]
		}, "nodes", statusAdvice, "1 not"},
		{"no docker", node(`"docker"`, `"exec"`), "docker", statusWrong, "n1: it is not there"},
		{"docker is sick", node(`"Healthy":true`, `"Healthy":false,"HealthDescription":"daemon is away"`), "docker", statusWrong, "daemon is away"},
		{"a node without Consul", set("/v1/node/n1", `{"ID":"n1"}`), "nodes", statusWrong, "no Consul agent"},
		{"loopback", node("10.0.0.1", "127.0.0.1"), "nodes", statusWrong, "loopback"},
		{"an old node", node("1.10.5", "1.8.0"), "nodes", statusWrong, "n1 1.8.0"},
		{"Consul is away", func(p *patient) { p.away["consul"] = true }, "consul", statusWrong, "does not answer"},
		{"Consul has no leader", setConsul("/v1/status/leader", `""`), "consul", statusWrong, "no leader"},
		{"Consul shows nothing", setConsul("/v1/health/service/consul", `[]`), "consul", statusWrong, "no servers"},
		{"Consul does not know the token", setConsul("/v1/internal/acl/authorize", "403 ACL not found"), "consul rights", statusWrong, "ACL not found"},
		{"Consul's ACLs are off", setConsul("/v1/internal/acl/authorize", "401 ACL support disabled"), "consul rights", statusAdvice, "ACLs are off"},
		{"no sessions", func(p *patient) { p.denied = "session:write" }, "consul rights", statusWrong, "session:write of n1"},
		{"clock of Consul", func(p *patient) { p.consulAhead = time.Minute }, "clock of consul", statusWrong, "differs by"},
		{
			"a lost agent", setConsul("/v1/health/state/critical", `[{"Node":"n9","ServiceID":"","Name":"Serf Health Status","Output":"not live"}]`),
			"consul agents", statusWrong, "n9",
		},
		{"checks not to be read", setConsul("/v1/health/state/critical", "403 denied"), "consul agents", statusWrong, "cannot be read"},
		{"held by another", func(p *patient) { p.held(consul.Holder{Host: "other", PID: 7, DataDir: "/x"}) }, "lock", statusWrong, "process 7 on host other"},
		{"held by nobody", func(p *patient) { delete(p.consul, "/v1/kv/"+consul.LockKey(p.installation)) }, "lock", statusWrong, "does not hold the lock"},
		{"no pages", func(p *patient) { p.consul["/v1/health/service/"+p.pages()] = `[]` }, "router", statusWrong, "routers do not know"},
		{"the router is away", func(p *patient) { p.away["router"] = true }, "router", statusWrong, "does not answer"},
		{"another router", func(p *patient) { p.router = http.NotFound }, "router", statusWrong, "no router that has Dynomad's routes"},
		{"an app on all hosts", func(p *patient) {
			p.router = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hi")) }
		}, "router", statusWrong, "status 200"},
	}
}

func machineFaults() []doctorFault {
	file := func(p *patient, name string) string { return filepath.Join(p.config.DataDir, name) }
	must := func(p *patient, err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return []doctorFault{
		{"settings", func(p *patient) { p.config.MaxQuantity = 0 }, "settings", statusWrong, "max-quantity"},
		{"no folder can be made", func(p *patient) { p.config.DataDir = "/sys/dynomad-doctor" }, "data folder", statusWrong, "cannot be made"},
		{"a folder that cannot be written", func(p *patient) { p.config.DataDir = "/sys/kernel" }, "data folder", statusWrong, "cannot be written"},
		{"a file", func(p *patient) { p.config.DataDir = file(p, keyFile) }, "data folder", statusWrong, "is no folder"},
		{"others may write", func(p *patient) { must(p, os.Chmod(p.config.DataDir, 0o777)) }, "data folder", statusWrong, "Others may write"},  //nolint:gosec // the fault
		{"others may read the key", func(p *patient) { must(p, os.Chmod(file(p, keyFile), 0o644)) }, "data folder", statusWrong, "secret.key"}, //nolint:gosec // the fault
		{"no key", func(p *patient) { must(p, os.Remove(file(p, keyFile))) }, "key", statusWrong, "cannot be read"},
		{"another key", func(p *patient) {
			must(p, os.Remove(file(p, keyFile)))
			_, err := store.LoadKey(file(p, keyFile))
			must(p, err)
		}, "key", statusWrong, "not the one of the database"},
		{"damaged", func(p *patient) {
			must(p, os.WriteFile(file(p, databaseFile), []byte(strings.Repeat("x", 9000)), 0o600))
		}, "database", statusWrong, "no intact database"},
		{"nothing there yet", func(p *patient) { p.config.DataDir = filepath.Join(p.t.TempDir(), "a", "b") }, "data folder", statusOK, "does not exist yet"},
		{"an empty folder", func(p *patient) { p.config.DataDir = p.t.TempDir() }, "database", statusOK, "no database yet"},
		{"no daemon", func(p *patient) { p.config.DataDir = p.t.TempDir() }, "daemon", statusOK, "No daemon"},
		{"nothing to lead to", func(p *patient) { p.config.DataDir = p.t.TempDir() }, "router", statusSkipped, "No daemon runs"},
	}
}

// TestDoctor_faults plants one fault at a time. It must be named, with what to do, and the exit code must be 1 if something is wrong.
func TestDoctor_faults(t *testing.T) {
	t.Parallel()
	for _, f := range append(clusterFaults(), machineFaults()...) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := healthy(t)
			f.plant(p)
			got, err := p.examine(t.Context())
			named := false
			for _, found := range got.Findings {
				named = named || (found.Check == f.check && found.Status == f.status && strings.Contains(found.What, f.what))
				if (found.Status == statusWrong || found.Status == statusAdvice) && found.Do == "" {
					t.Errorf("nothing is said of what to do: %+v", found)
				}
			}
			if !named {
				t.Errorf("want %s: %s … %q, got:\n%+v", f.check, f.status, f.what, got.Findings)
			}
			if wrong := f.status == statusWrong; wrong != (err != nil) || wrong == got.OK {
				t.Errorf("exit %v, ok %t", err, got.OK)
			}
		})
	}
}

// TestDoctor_text prints a line for each finding, and what to do below it.
func TestDoctor_text(t *testing.T) {
	t.Parallel()
	d := &doctor{}
	d.ok("settings", "They are good.")
	d.wrong("nodes", "start one", "There is no node.")
	var out strings.Builder
	if err := d.print(&out, false, false); err != nil {
		t.Fatal(err)
	}
	const want = "ok       settings         They are good.\nwrong    nodes            There is no node.\n" +
		"                          -> start one\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"1.9.7": true, "1.10": false, "1.10.0": false, "1.10.5-dev": false, "v1.11.0+ent": false, "0.12.1": true, "2.0": false, "": false, "x": false,
	} {
		if got := older(version, "1.10"); got != want {
			t.Errorf("older(%q): %t", version, got)
		}
	}
}
