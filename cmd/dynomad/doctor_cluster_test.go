//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
	"github.com/dynomad/dynomad/store"
)

// TestCluster_doctor looks at a good cluster, in which there is nothing to find, and at the same with a fault each.
func TestCluster_doctor(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	var env []string
	if guarded() {
		env = grant(t, cluster)
	}
	d := startDaemonOn(t, cluster, append(quick(), env...)...)
	env = append(env, "NOMAD_ADDR=http://"+cluster.NomadAddr(), "CONSUL_HTTP_ADDR="+cluster.ConsulAddr(),
		"DYNOMAD_DATA_DIR="+filepath.Join(d.dir, "data"), "DYNOMAD_ROUTER=http://"+cluster.RouterAddr())

	// The daemon is ready before routers know its pages.
	nomadtest.Eventually(t, 30*time.Second, func(context.Context) error {
		got, code := examine(t, env)
		for _, f := range got.Findings {
			if open := !guarded() && strings.HasSuffix(f.Check, " rights") && f.Status == statusAdvice; f.Status != statusOK && !open {
				return fmt.Errorf("a good cluster: %+v", f)
			}
		}
		if !got.OK || code != 0 || len(got.Findings) < 13 {
			return fmt.Errorf("a good cluster: ok %t, exit code %d, %d findings", got.OK, code, len(got.Findings))
		}
		return nil
	})

	for _, f := range d.faults(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			got, code := examine(t, slices.Concat(env, f.env))
			named := false
			for _, found := range got.Findings {
				named = named || (found.Check == f.check && found.Status == statusWrong && strings.Contains(found.What, f.what) && found.Do != "")
			}
			if !named || got.OK || code != 1 {
				t.Errorf("want %s wrong, %q; exit code %d, got %+v", f.check, f.what, code, got.Findings)
			}
		})
	}
}

// plantedFault is a fault that is made by other settings of doctor.
type plantedFault struct {
	name, check, what string
	env               []string
}

func (d *daemon) faults(t *testing.T) []plantedFault {
	t.Helper()
	nomad := bent(t, "http://"+d.cluster.NomadAddr())
	copied, strange := d.copyData(t), d.copyData(t)
	if err := os.Remove(filepath.Join(strange, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.LoadKey(filepath.Join(strange, keyFile)); err != nil {
		t.Fatal(err)
	}
	faults := []plantedFault{
		{"Nomad is away", "nomad", "does not answer", []string{"NOMAD_ADDR=http://" + nomadtest.FreeAddr(t)}},
		{"Consul is away", "consul", "does not answer", []string{"CONSUL_HTTP_ADDR=" + nomadtest.FreeAddr(t)}},
		{"no Docker", "docker", "no healthy docker driver", []string{"NOMAD_ADDR=" + nomad}},
		{"clock", "clock of nomad", "differs by", []string{"NOMAD_ADDR=" + nomad}},
		{"no such pool", "nodes", "No node is ready", []string{"DYNOMAD_NODE_POOL=strange"}},
		{"unwritable", "data folder", "cannot be made", []string{"DYNOMAD_DATA_DIR=/sys/dynomad"}},
		{"lock", "lock", "another daemon's", []string{"DYNOMAD_DATA_DIR=" + copied}},
		{"key", "key", "not the one of the database", []string{"DYNOMAD_DATA_DIR=" + strange}},
		{"router", "router", "no router that has Dynomad's routes", []string{"DYNOMAD_ROUTER=http://" + d.cluster.ConsulAddr()}},
		{"another domain", "router", "no router that has Dynomad's routes", []string{"DYNOMAD_APP_DOMAIN=apps.strange.example"}},
	}
	if guarded() {
		faults = append(
			faults,
			plantedFault{"Nomad's token", "nomad rights", "cannot be read", []string{"NOMAD_TOKEN=00000000-0000-0000-0000-000000000001"}},
			plantedFault{"Consul's token", "consul rights", "cannot be read", []string{"CONSUL_HTTP_TOKEN=00000000-0000-0000-0000-000000000001"}},
		)
	}
	return faults
}

// copyData copies the data folder, again until no write came between.
func (d *daemon) copyData(t *testing.T) string {
	t.Helper()
	var to string
	nomadtest.Eventually(t, 20*time.Second, func(ctx context.Context) error {
		to = filepath.Join(t.TempDir(), "data")
		if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(d.dir, "data"), to).CombinedOutput(); err != nil {
			return fmt.Errorf("copying the data folder: %w %s", err, out)
		}
		_, err := store.Inspect(ctx, filepath.Join(to, databaseFile), nil)
		return err
	})
	return to
}

// bent stands before Nomad: its nodes have no Docker, and its clock is an hour late.
func bent(t *testing.T, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			if r.Request.URL.Path != "/v1/nodes" {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			body = bytes.ReplaceAll(body, []byte(`"docker":{`), []byte(`"podman":{`))
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return err
		},
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return srv.URL
}

// examine runs dynomad doctor.
func examine(t *testing.T, env []string) (diagnosis, int) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "doctor", "--json")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // its code is looked at
	var got diagnosis
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s\n%s", err, out, stderr.String())
	}
	return got, cmd.ProcessState.ExitCode()
}
