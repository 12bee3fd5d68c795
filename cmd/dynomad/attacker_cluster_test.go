//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// foothold is a dyno that somebody hostile has taken over (testdata/apps/attacker).
type foothold struct {
	*daemon
	dyno
	address string // where it is told what to do
}

// tell has the dyno do something, and gives what came of it. status is 418 if it could not.
func (f foothold) tell(ctx context.Context, method, path, body string) (status int, said string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+f.address+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// does is tell for what the dyno must be able to do, and decodes the answer into out unless that is nil.
func (f foothold) does(tb testing.TB, method, path, body string, out any) string {
	tb.Helper()
	status, said, err := f.tell(tb.Context(), method, path, body)
	if err == nil && status == http.StatusOK && out != nil {
		err = json.Unmarshal([]byte(said), out)
	}
	if err != nil || status != http.StatusOK {
		tb.Fatalf("%s %s: %d %s %v", method, path, status, said, err)
	}
	return said
}

// cannot is tell for what must be refused by the kernel, for a reason.
func (f foothold) cannot(tb testing.TB, method, path, why string) {
	tb.Helper()
	status, said, err := f.tell(tb.Context(), method, path, "")
	if err != nil || status != http.StatusTeapot || !strings.Contains(said, why) {
		tb.Errorf("%s %s: %d %s %v; want that it cannot: %s", method, path, status, said, err, why)
	}
}

func (f foothold) dial(tb testing.TB, targets ...string) map[string]string {
	tb.Helper()
	text, err := json.Marshal(targets)
	if err != nil {
		tb.Fatal(err)
	}
	got := map[string]string{}
	f.does(tb, http.MethodPost, "/dial", string(text), &got)
	return got
}

// TestCluster_attacker looks out of a dyno that somebody hostile has taken over. What is closed must stay closed; what is open
// stands in docs/isolation.md, and a change of it belongs there.
func TestCluster_attacker(t *testing.T) {
	t.Parallel()
	own := []string{"DYNOMAD_FALLBACK_LISTEN=" + nomadtest.FreeAddr(t), "DYNOMAD_METRICS_LISTEN=" + nomadtest.FreeAddr(t)}
	d := startDaemon(t, append(quick(), own...)...)
	d.do(http.MethodPost, "/apps", `{"name":"victim"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/victim-default/config-vars", `{"SECRET":"of the victim"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/victim-default/formation", `{"type":"web"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/victim-default/formation", `{"type":"worker","command":"/app"}`, http.StatusOK, nil) // listens on 8080, unpublished
	d.do(http.MethodPost, "/apps/victim-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	f := d.invade("attack")
	web := d.waitDynos("victim-default", "web", time.Minute, allReady(1))[0]
	worker := d.waitDynos("victim-default", "worker", time.Minute, allReady(1))[0]

	t.Run("loopback", func(t *testing.T) { f.seesNoLoopback(t, own) })
	t.Run("exposed", func(t *testing.T) { f.asksAround(t, web) })
	t.Run("neighbours", func(t *testing.T) { f.reachesNeighbours(t, web, worker) })
	t.Run("powers", func(t *testing.T) { f.hasFewPowers(t) })
	t.Run("identity", func(t *testing.T) { f.hasNoIdentity(t) })
	t.Run("logs", func(t *testing.T) { f.cannotWriteLogs(t) })
	t.Run("links", func(t *testing.T) { f.cannotMoveTheMask(t) })
	t.Run("socket", func(t *testing.T) { f.outlivesAgent(t) })
}

// invade deploys the hostile app. Its config vars try to move the folders that Nomad mounts, the task API's socket among them.
func (d *daemon) invade(name string) foothold {
	d.tb.Helper()
	app := name + "-default"
	d.do(http.MethodPost, "/apps", `{"name":"`+name+`"}`, http.StatusCreated, nil)
	const moved = `{"NOMAD_SECRETS_DIR":"/loot/secrets","NOMAD_ALLOC_DIR":"/loot/alloc","NOMAD_TASK_DIR":"/loot/local","NOMAD_TOKEN":"mine"}`
	d.do(http.MethodPatch, "/apps/"+app+"/config-vars", moved, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"web"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+d.cluster.Image(d.tb, "attacker")+`"}`, http.StatusCreated, nil)
	y := d.waitDynos(app, "web", time.Minute, allReady(1))[0]
	return foothold{daemon: d, dyno: y, address: d.published(app)}
}

// published gives the address on the bridge at which an app's only web dyno is published.
func (d *daemon) published(app string) string {
	d.tb.Helper()
	entries, _, err := d.cluster.ConsulClient().Health().Service(app, "", true, nil)
	if err != nil || len(entries) != 1 {
		d.tb.Fatalf("%d services of %s: %v", len(entries), app, err)
	}
	return net.JoinHostPort(entries[0].Service.Address, fmt.Sprint(entries[0].Service.Port))
}

// seesNoLoopback dials what listens on the host's loopback, by every address of the host.
func (f foothold) seesNoLoopback(t *testing.T, own []string) {
	p := f.cluster.Ports()
	ports := map[string]string{}
	for what, port := range map[string]int{
		"Nomad's HTTP": p.NomadHTTP, "Nomad's RPC": p.NomadRPC, "Nomad's Serf": p.NomadSerf, "Consul's HTTP": p.ConsulHTTP,
		"Consul's RPC": p.ConsulRPC, "Consul's Serf": p.ConsulSerf, "the router's API": p.RouterAPI, "the router": p.Router, "Docker": 2375,
	} {
		ports[fmt.Sprint(port)] = what
	}
	for _, setting := range append(own, "the API="+strings.TrimPrefix(f.url, "http://")) {
		what, address, _ := strings.Cut(setting, "=")
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		ports[port] = what
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, a := range addresses {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil {
			continue
		}
		for port := range ports {
			targets = append(targets, "tcp "+net.JoinHostPort(ip.IP.String(), port))
		}
	}
	if len(targets) < 2*len(ports) {
		t.Fatalf("only %v are tried", targets)
	}
	for target, result := range f.dial(t, targets...) {
		if _, port, _ := net.SplitHostPort(target); result != "refused" && result != "no answer" {
			t.Errorf("%s at %s is %s", ports[port], target, result)
		}
	}
	if got := f.dial(t, "tcp "+f.address); got["tcp "+f.address] != "open" {
		t.Errorf("its own published port is %v, so the rest proves nothing", got)
	}
}

// exposed makes a server on the host's loopback reachable for dynos, as one that listens on all addresses is.
func (f foothold) exposed(target string) string {
	f.tb.Helper()
	bridge, _, err := net.SplitHostPort(f.address)
	if err != nil {
		f.tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(f.tb.Context(), "tcp", net.JoinHostPort(bridge, "0"))
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(f.tb.Context(), "tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
	return listener.Addr().String()
}

// asksAround asks Nomad, Consul and the API for what is not the dyno's, where they listen on an address that it can reach.
func (f foothold) asksAround(t *testing.T, victim dyno) {
	nomad, consul, api := f.exposed(f.cluster.NomadAddr()), f.exposed(f.cluster.ConsulAddr()), f.exposed(strings.TrimPrefix(f.url, "http://"))
	vars, _, err := f.cluster.NomadClient().Variables().PrefixList("dynomad/victim-default/", nil)
	if err != nil || len(vars) != 1 {
		t.Fatalf("the victim has the variables %v, %v", vars, err)
	}
	type answer struct {
		status int
		has    string
	}
	no, anybody := answer{status: http.StatusForbidden}, answer{status: http.StatusOK}
	for _, tt := range []struct {
		address, method, path, body string
		open, guarded               answer // without ACLs, and with them
	}{
		{nomad, "GET", "/v1/var/" + vars[0].Path, "", answer{200, "of the victim"}, no},
		{nomad, "GET", "/v1/jobs", "", answer{200, "victim-default"}, no},
		{nomad, "GET", "/v1/job/victim-default", "", answer{200, "dynomad_app_id"}, no},
		{nomad, "GET", "/v1/client/fs/ls/" + victim.ID + "?path=/", "", answer{200, "alloc"}, no},
		{nomad, "PUT", "/v1/var/attacker", `{"Path":"attacker","Items":{"was":"here"}}`, anybody, no},
		{nomad, "DELETE", "/v1/var/attacker", "", answer{204, ""}, no},
		{nomad, "GET", "/v1/agent/self", "", answer{200, "config"}, no},
		{nomad, "GET", "/v1/nodes", "", answer{200, "nomadtest"}, no},
		{nomad, "GET", "/v1/status/leader", "", anybody, anybody},
		{consul, "GET", "/v1/catalog/service/victim-default", "", answer{200, "victim-default"}, answer{200, "[]"}},
		{consul, "PUT", "/v1/kv/attacker", "was here", answer{200, "true"}, no},
		{consul, "DELETE", "/v1/kv/attacker", "", answer{200, "true"}, no},
		{consul, "GET", "/v1/agent/self", "", answer{200, "Config"}, no},
		{consul, "GET", "/v1/status/leader", "", anybody, anybody},
		{api, "GET", "/apps", "", answer{401, "unauthorized"}, answer{401, "unauthorized"}},
		{api, "GET", "/apps/victim-default/config-vars", "", answer{401, "unauthorized"}, answer{401, "unauthorized"}},
		{api, "GET", "/metrics", "", answer{404, "not_found"}, answer{404, "not_found"}}, // it has an address of its own
		{api, "GET", "/healthz", "", anybody, anybody},
		{api, "GET", "/readyz", "", anybody, anybody},
		{api, "GET", "/openapi.json", "", anybody, anybody},
	} {
		want := tt.open
		if guarded() {
			want = tt.guarded
		}
		question, err := json.Marshal(map[string]string{"address": tt.address, "method": tt.method, "path": tt.path, "body": tt.body})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Status int
			Body   string
		}
		f.does(t, http.MethodPost, "/ask", string(question), &got)
		if got.Status != want.status || !strings.Contains(got.Body, want.has) {
			t.Errorf("%s %s (ACLs %t): %d %.300s, want %+v", tt.method, tt.path, guarded(), got.Status, got.Body, want)
		}
	}
}

// reachesNeighbours dials other apps' dynos. Docker's default network lets containers talk to each other.
func (f foothold) reachesNeighbours(t *testing.T, web, worker dyno) {
	for what, target := range map[string]string{
		"a published port": f.published("victim-default"), "a web dyno": f.container(web.ID) + ":9000", "a worker": f.container(worker.ID) + ":8080",
	} {
		if got := f.dial(t, "tcp "+target)["tcp "+target]; got != "open" {
			t.Errorf("%s of another app at %s is %s, which docs/isolation.md calls open", what, target, got)
		}
	}
}

// container gives the address of an allocation's container on Docker's network.
func (d *daemon) container(alloc string) string {
	d.tb.Helper()
	return d.ofContainer(alloc, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
}

// ofContainer tells what Docker knows of an allocation's running container.
func (d *daemon) ofContainer(alloc, format string) string {
	d.tb.Helper()
	id := d.docker(d.tb, "ps", "--quiet", "--filter", "label=com.hashicorp.nomad.alloc_id="+alloc)
	return d.docker(d.tb, "inspect", "--format", format, id)
}

// hasFewPowers looks at what the kernel grants the dyno.
func (f foothold) hasFewPowers(t *testing.T) {
	status := f.does(t, http.MethodGet, "/read?path=/proc/self/status", "", nil)
	for name, want := range map[string]string{
		"CapEff": "00000000000004eb", "CapBnd": "00000000000004eb", "CapInh": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if !regexp.MustCompile(`(?m)^` + name + `:\s*` + want + `$`).MatchString(status) {
			t.Errorf("%s is not %s in\n%s", name, want, status)
		}
	}
	limits := []string{"/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"} // of cgroups v2 and v1
	if !slices.ContainsFunc(limits, func(path string) bool {
		_, said, err := f.tell(t.Context(), http.MethodGet, "/read?path="+path, "")
		return err == nil && said == "2048"
	}) {
		t.Errorf("%v have no limit of 2048 processes", limits)
	}
	f.cannot(t, http.MethodPost, "/mount?path=/secrets/api.sock", "operation not permitted")
	for _, path := range []string{"/var/run/docker.sock", "/run/docker.sock", "/private", "/loot"} {
		f.cannot(t, http.MethodGet, "/read?path="+path, "no such file")
	}
	if said := f.does(t, http.MethodGet, "/sockets", "", nil); said != "[]" {
		t.Errorf("there are sockets in the container: %s", said)
	}
}

// hasNoIdentity looks for what Nomad and Consul would know the dyno by.
func (f foothold) hasNoIdentity(t *testing.T) {
	var environ []string
	f.does(t, http.MethodGet, "/environ", "", &environ)
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		switch {
		case slices.Contains([]string{"NOMAD_UNIX_ADDR", "CONSUL_HTTP_TOKEN", "CONSUL_TOKEN", "VAULT_TOKEN"}, name), strings.HasPrefix(value, "eyJ"):
			t.Errorf("the environment has %s", line)
		case name == "NOMAD_TOKEN" && value != "mine": // an app may have one of its own
			t.Errorf("the environment has %s", line)
		case strings.HasSuffix(name, "_DIR") && strings.HasPrefix(value, "/loot"):
			t.Errorf("a config var has moved a folder: %s", line)
		}
	}
	for _, path := range []string{"/secrets/nomad_token", "/secrets/nomad_default.jwt", "/secrets/consul_token", "/secrets/vault_token", "/secrets/config.env"} {
		f.cannot(t, http.MethodGet, "/read?path="+path, "no such file")
	}
	if got := f.dial(t, "unix /secrets/api.sock")["unix /secrets/api.sock"]; got != "refused" {
		t.Errorf("the task API is %s", got)
	}
}

// cannotWriteLogs tries to have Nomad, which is root, write the dyno's output to any file of the node.
func (f foothold) cannotWriteLogs(t *testing.T) {
	bait := filepath.Join(f.dir, "bait")
	query := url.Values{"path": {"/alloc/logs/web.stdout.1"}, "to": {bait}}.Encode()
	if status, said, err := f.tell(t.Context(), http.MethodPost, "/link?"+query, ""); err != nil || !strings.Contains(said, "read-only file system") {
		t.Errorf("a link in the folder of the logs: %d %s %v", status, said, err)
		f.does(t, http.MethodPost, "/print?mb=11", "", nil) // more than a file has room for
		nomadtest.Eventually(t, 5*time.Second, func(context.Context) error {
			_, err := os.Stat(bait)
			return err
		})
		t.Error("the dyno has written a file of its node")
	}
	f.cannot(t, http.MethodPost, "/rename?path=/alloc/logs&to=/alloc/elsewhere", "device or resource busy")
}

// cannotMoveTheMask puts a link in the place of everything that is mounted at the dyno's next start, and has itself started again.
func (f foothold) cannotMoveTheMask(t *testing.T) {
	bait := filepath.Join(f.dir, "secret-of-the-node")
	if err := os.WriteFile(bait, []byte("a secret of the node"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/local/none", "/secrets/none", "/alloc/none"} {
		f.does(t, http.MethodPost, "/link?"+url.Values{"path": {path}, "to": {bait}}.Encode(), "", nil)
	}
	f.cannot(t, http.MethodPost, "/link?path=/secrets/api.sock&to="+bait, "device or resource busy")
	f.does(t, http.MethodPost, "/exit", "", nil)
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		var y struct{ Restarts int }
		_, body, err := f.try(ctx, http.MethodGet, "/apps/attack-default/dynos/"+f.Name, "")
		if err == nil {
			err = json.Unmarshal(body, &y)
		}
		if err == nil && y.Restarts == 0 {
			err = fmt.Errorf("not started again: %s", body)
		}
		return err
	})
	var said string
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) (err error) {
		_, said, err = f.tell(ctx, http.MethodGet, "/read?path=/secrets/api.sock", "")
		return err
	})
	if said != "Dynos have no access to Nomad." {
		t.Errorf("after a start anew the dyno sees in the socket's place: %s", said)
	}
}

// outlivesAgent does what Nomad's agent does when it starts: it makes the socket anew, and with the old one the kernel takes away what
// was mounted over it.
func (f foothold) outlivesAgent(t *testing.T) {
	path := filepath.Join(f.cluster.Dir(), "nomad", "alloc", f.ID, "web", "secrets", "api.sock")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	if got := f.dial(t, "unix /secrets/api.sock")["unix /secrets/api.sock"]; got != "open" {
		t.Errorf("after a restart of Nomad's agent the task API is %s, which docs/isolation.md calls open", got)
	}
}
