//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_privateRegistry deploys from a registry that asks for a password, which the docker plugin of Nomad's clients
// has and Dynomad never sees. An image of the same registry under credentials that are wrong cannot start. No password, and no config var,
// stands in what Dynomad and the agents print when they print all they can.
func TestCluster_privateRegistry(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	dir := t.TempDir()
	var secrets plants
	registry, err := nomadtest.StartRegistry(ctx, dir, "puller", secrets.word("password"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	auth := filepath.Join(dir, "auth.json")
	if err := registry.DockerConfig(auth); err != nil {
		t.Fatal(err)
	}
	cluster := startCluster(ctx, t, nomadtest.Config{LogLevel: "trace", NomadHCL: fmt.Sprintf(`plugin "docker" { config { auth { config = %q } } }`, auth)})
	image, err := cluster.PushOnly(ctx, cluster.Image(t, "hello"), registry, "team/hello", "1")
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemonOn(t, cluster, append(quick(), "DYNOMAD_LOG_LEVEL=trace")...)
	d.do(http.MethodPost, "/apps", `{"name":"private"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/private-default/config-vars", asJSON(t, map[string]string{"SECRET": secrets.secret("config var")}), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/private-default/builds", `{"url":"docker://`+image+`"}`, http.StatusCreated, nil)
	d.waitDynos("private-default", "web", time.Minute, allReady(1))
	if page := d.page("private-default", "/"); !strings.Contains(page, "private-default") {
		t.Errorf("got another page: %s", page)
	}

	registry.Password = secrets.word("wrong password")
	if err := registry.DockerConfig(auth); err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodPost, "/apps", `{"name":"refused"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/refused-default/builds", `{"url":"docker://`+strings.Replace(image, "hello:1", "other:1", 1)+`"}`, http.StatusCreated, nil)
	d.waitDynos("refused-default", "web", time.Minute, func(list []dyno) bool {
		return len(list) == 1 && list[0].State == "start-failure" && strings.Contains(list[0].AdditionalInfo, "other:1")
	})
	for _, app := range []string{"private-default", "refused-default"} {
		for _, path := range []string{"/dynos", "/builds", "/releases", "/audits", "/logs"} {
			_, answer := get(t, d.url+"/apps/"+app+path, "Authorization", d.token)
			noSecrets(t, &secrets, "GET "+app+path, []byte(answer))
		}
		for _, part := range []string{"", "/versions", "/allocations", "/evaluations"} {
			noSecrets(t, &secrets, "Nomad's job "+app+part, d.nomadAnswer("/v1/job/"+app+part))
		}
	}
	logs, err := filepath.Glob(filepath.Join(cluster.Dir(), "*.log"))
	if err != nil || len(logs) < 3 {
		t.Errorf("the cluster has the logs %v, %v", logs, err)
	}
	for _, path := range append(logs, d.process.LogPath()) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		noSecrets(t, &secrets, path, text)
	}
}

func noSecrets(t *testing.T, secrets *plants, where string, text []byte) {
	t.Helper()
	if found := secrets.find(text); len(found) > 0 || len(text) == 0 {
		t.Errorf("%s (%d bytes) has the secrets %v", where, len(text), found)
	}
}
