//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// installation gives the daemon's id, by its key in Consul, which names the daemon's data folder.
func (d *daemon) installation() string {
	d.tb.Helper()
	id := ""
	nomadtest.Eventually(d.tb, 30*time.Second, func(ctx context.Context) error {
		pairs, _, err := d.cluster.ConsulClient().KV().List("dynomad/", (&consulapi.QueryOptions{}).WithContext(ctx))
		for _, p := range pairs {
			if strings.Contains(string(p.Value), `"`+d.dataDir()+`"`) {
				id = strings.TrimSuffix(strings.TrimPrefix(p.Key, "dynomad/"), "/lock")
			}
		}
		if err == nil && id == "" {
			err = fmt.Errorf("no lock of the data folder %s among %d", d.dataDir(), len(pairs))
		}
		return err
	})
	return id
}

func (d *daemon) dataDir() string { return filepath.Join(d.dir, "data") }

// another runs a second daemon on a data folder until it ends by itself, and gives what it said.
func (d *daemon) another(dataDir string, env ...string) (string, error) {
	d.tb.Helper()
	path, err := binary()
	if err != nil {
		d.tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.tb.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "server")
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "DYNOMAD_LISTEN=" + nomadtest.FreeAddr(d.tb), "DYNOMAD_DATA_DIR=" + dataDir,
		"DYNOMAD_ROOT_TOKEN=" + d.token, "NOMAD_ADDR=http://" + d.cluster.NomadAddr(), "CONSUL_HTTP_ADDR=" + d.cluster.ConsulAddr(),
	}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCluster_twoDaemons starts a second daemon on the first one's data folder and on a copy of it.
func TestCluster_twoDaemons(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	env := quick()
	if guarded() {
		env = append(env, grant(t, cluster)...)
	}
	d := startDaemonOn(t, cluster, env...)
	d.do(http.MethodPost, "/apps", `{"name":"twice"}`, http.StatusCreated, nil)
	folder := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", d.dataDir(), folder).CombinedOutput(); err != nil {
		t.Fatalf("copying the data folder: %v %s", err, out)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	process := fmt.Sprintf("process %d on host %s", d.process.PID(), host)
	for dir, want := range map[string]string{
		d.dataDir(): "another dynomad runs on the data folder " + d.dataDir() + ": " + process,
		folder:      "another dynomad runs the installation " + d.installation() + ": " + process,
	} {
		start := time.Now()
		out, err := d.another(dir, env...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("a second daemon on %s: %v, want %q in\n%s", dir, err, want, out)
		}
		t.Logf("refused after %s", time.Since(start).Round(time.Millisecond))
	}
	if err := d.ready(t.Context()); err != nil {
		t.Errorf("the first daemon: %v", err)
	}

	// When the first has ended, the copy may be used.
	if err := d.process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := startDaemonOn(t, cluster, append(env, "DYNOMAD_DATA_DIR="+folder)...)
	if names := second.names(t.Context()); len(names) != 1 || names[0] != "twice-default" {
		t.Errorf("the copy has the apps %v", names)
	}
}

// TestCluster_killedAndBack kills the daemon and starts it again: its lock in Consul, which it still has, is not waited for.
func TestCluster_killedAndBack(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	for range 3 {
		if err := d.process.Kill(); err != nil {
			t.Fatal(err)
		}
		pairs, _, err := d.cluster.ConsulClient().KV().Get("dynomad/"+d.installation()+"/lock", nil)
		if err != nil || pairs == nil || pairs.Session == "" {
			t.Fatalf("the lock went with the process, so that nothing is proved: %+v, %v", pairs, err)
		}
		start := time.Now()
		if err := d.process.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("ready, with the lock, %s after the start", took.Round(time.Millisecond))
		if took > 8*time.Second { // Consul gives up the old lock after 20 s
			t.Errorf("it took %s", took)
		}
	}
}

// jobOf tells whether Nomad has an app's job, and with how many web dynos.
func (d *daemon) jobOf(app string) (count int, found bool) {
	job, _, err := d.cluster.NomadClient().Jobs().Info(app, nil)
	if err != nil {
		return 0, false
	}
	for _, g := range job.TaskGroups {
		if *g.Name == "web" {
			return *g.Count, true
		}
	}
	return 0, true
}

// TestCluster_consulAwayAtStart starts a daemon while Consul is away: it serves, and writes nothing to Nomad until Consul is
// back and has given it the lock.
func TestCluster_consulAwayAtStart(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	consul := proxyTo(t, cluster.ConsulAddr())
	d := startDaemon(t, append(quick(), "CONSUL_HTTP_ADDR="+consul.Addr())...)
	image := cluster.Image(t, "hello")
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := consul.Cut(); err != nil {
		t.Fatal(err)
	}
	restarted := make(chan error, 1)
	go func() { restarted <- d.process.Restart(t.Context()) }() // returns when it is ready, which takes Consul
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		status, _, err := d.try(ctx, http.MethodGet, "/healthz", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("healthz: %d", status)
		}
		return err
	})
	d.do(http.MethodPost, "/apps", `{"name":"later"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/later-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	if lock := d.part("lock"); !strings.HasPrefix(lock, "not held") {
		t.Errorf("readyz says of the lock: %q", lock)
	}
	time.Sleep(5 * time.Second) // a stretch in which nothing may happen, not a wait for a condition
	if _, found := d.jobOf("later-default"); found {
		t.Error("a job was registered without the lock")
	}
	if err := consul.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.waitDynos("later-default", "web", time.Minute, allReady(1))
	if err := <-restarted; err != nil {
		t.Error(err)
	}
}

// part gives what /readyz says of a part.
func (d *daemon) part(name string) string {
	d.tb.Helper()
	_, body, err := d.try(d.tb.Context(), http.MethodGet, "/readyz", "")
	var answer struct{ Parts map[string]string }
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil {
		d.tb.Fatalf("readyz: %v", err)
	}
	return answer.Parts[name]
}

func (d *daemon) waitPart(name, want string) {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, 30*time.Second, func(context.Context) error {
		if got := d.part(name); got != want {
			return fmt.Errorf("%s is %q", name, got)
		}
		return nil
	})
}

// stealLock gives the lock to session in one step, whoever may have taken it by now: the daemon is quick to take it back.
func stealLock(consul *consulapi.Client, key, session string) error {
	ok, answer, _, err := consul.KV().Txn(consulapi.KVTxnOps{
		{Verb: consulapi.KVDelete, Key: key},
		{Verb: consulapi.KVLock, Key: key, Session: session, Value: []byte(`{"host":"thief","pid":1}`)},
	}, nil)
	if err == nil && !ok {
		err = fmt.Errorf("the lock is not free: %s", answer.Errors[0].What)
	}
	return err
}

// TestCluster_lockLost takes the lock away from a daemon: it pauses, and goes on when it has the lock again.
func TestCluster_lockLost(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"lost"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/lost-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitDynos("lost-default", "web", time.Minute, allReady(1))
	d.waitRelease("lost-default", 1, "succeeded")

	consul := d.cluster.ConsulClient()
	key := "dynomad/" + d.installation() + "/lock"
	thief, _, err := consul.Session().CreateNoChecks(&consulapi.SessionEntry{TTL: "300s", Behavior: "delete", LockDelay: time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, _, err := consul.KV().Get(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consul.Session().Destroy(pair.Session, nil); err != nil {
		t.Fatal(err)
	}
	nomadtest.Eventually(t, 10*time.Second, func(context.Context) error {
		return stealLock(consul, key, thief)
	})
	d.waitPart("lock", "held by another daemon")
	d.do(http.MethodPatch, "/apps/lost-default/formation/web", `{"quantity":2}`, http.StatusOK, nil)
	time.Sleep(5 * time.Second) // a stretch in which nothing may happen, not a wait for a condition
	if n, found := d.jobOf("lost-default"); n != 1 || !found {
		t.Errorf("the job has %d web dynos (there: %t): written without the lock", n, found)
	}
	log, err := os.Open(d.process.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(log)
	if err != nil || !strings.Contains(string(text), "process 1 on host thief") {
		t.Errorf("the log does not name who has the lock (%v)", err)
	}
	if _, err := consul.Session().Destroy(thief, nil); err != nil {
		t.Fatal(err)
	}
	d.waitPart("lock", "ok")
	d.waitDynos("lost-default", "web", time.Minute, allReady(2))
}
