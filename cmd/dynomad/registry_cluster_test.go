//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_privateRegistry deploys from a registry that asks for a password, which the docker plugin of Nomad's clients
// has and Dynomad never sees. An image of the same registry under credentials that are wrong cannot start.
func TestCluster_privateRegistry(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	dir := t.TempDir()
	registry, err := nomadtest.StartRegistry(ctx, dir, "puller", "pull-secret")
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
	cluster, err := nomadtest.Start(ctx, nomadtest.Config{NomadHCL: fmt.Sprintf(`plugin "docker" { config { auth { config = %q } } }`, auth)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	image, err := cluster.PushOnly(ctx, cluster.Image(t, "hello"), registry, "team/hello", "1")
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemonOn(t, cluster, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"private"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/private-default/builds", `{"url":"docker://`+image+`"}`, http.StatusCreated, nil)
	d.waitDynos("private-default", "web", time.Minute, allReady(1))
	if page := d.page("private-default", "/"); !strings.Contains(page, "private-default") {
		t.Errorf("got another page: %s", page)
	}

	registry.Password = "wrong"
	if err := registry.DockerConfig(auth); err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodPost, "/apps", `{"name":"refused"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/refused-default/builds", `{"url":"docker://`+strings.Replace(image, "hello:1", "other:1", 1)+`"}`, http.StatusCreated, nil)
	d.waitDynos("refused-default", "web", time.Minute, func(list []dyno) bool {
		return len(list) == 1 && list[0].State == "start-failure" && strings.Contains(list[0].AdditionalInfo, "other:1")
	})
}
