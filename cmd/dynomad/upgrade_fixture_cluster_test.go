//go:build integration && fixture

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/jobs"
)

// TestUpgradeFixture writes what the present version leaves behind to testdata/upgrade/$DYNOMAD_TEST_FIXTURE, for TestUpgrade of
// all versions to come.
func TestUpgradeFixture(t *testing.T) {
	name := os.Getenv("DYNOMAD_TEST_FIXTURE")
	if name == "" {
		t.Fatal("DYNOMAD_TEST_FIXTURE must name the version")
	}
	folder := filepath.Join("../../testdata/upgrade", name)
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is there already, and what a version left is never written again: %v", folder, err)
	}
	settings := map[string]string{"DYNOMAD_EXTERNAL_URL": "https://dynomad.example", "DYNOMAD_NOMAD_UI_URL": "https://nomad.example/ui"}
	var env []string
	for _, v := range quick() {
		key, value, _ := strings.Cut(v, "=")
		settings[key] = value
	}
	for key, value := range settings {
		env = append(env, key+"="+value)
	}
	d := tooled{startDaemonOn(t, shared.Cluster(t), env...), env}
	d.leaveSomething()

	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for try := 1; ; try++ {
		d.stop()
		running, all, settled := d.left(t, settings)
		if settled {
			d.mustTool("backup", "--with-key", filepath.Join(folder, leftBackup))
			writeLeft(t, folder, running, all)
			break
		}
		d.start()
		if try == 5 {
			t.Fatal("the apps do not settle")
		}
		d.waitRelease("shop-default", 5, "succeeded") // while it starts, it settles
	}
	d.start() // it deletes its apps
}

// left gives what runs and what the records of the stopped daemon say. settled says whether it would change nothing.
func (d tooled) left(t *testing.T, settings map[string]string) (running leftRunning, all string, settled bool) {
	t.Helper()
	s := openDir(t, d.dataDir())
	defer s.Close() //nolint:errcheck // only read
	apps, err := s.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running, settled = leftRunning{Settings: settings, Jobs: map[string]leftJob{}}, true
	for _, st := range apps {
		job, _, err := d.cluster.NomadClient().Jobs().Info(st.App.Name, nil)
		if err != nil {
			continue // it runs nothing
		}
		action, spec := planFor(t, s, settings, st.App, *job.JobModifyIndex, true)
		if action.Verb != jobs.Nothing {
			t.Logf("%s is not settled: %s: %s", st.App.Name, action.Verb, action.Text)
			settled = false
		}
		running.Jobs[st.App.Name] = leftJob{ModifyIndex: *job.JobModifyIndex, Spec: spec}
	}
	return running, contents(t, s), settled
}

func writeLeft(t *testing.T, folder string, running leftRunning, all string) {
	t.Helper()
	text, err := json.MarshalIndent(running, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{leftClusters: append(text, '\n'), leftContents: []byte(all)} {
		if err := os.WriteFile(filepath.Join(folder, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// leaveSomething makes apps of many kinds.
func (d tooled) leaveSomething() {
	d.tb.Helper()
	image := d.cluster.Image(d.tb, "hello")
	d.do(http.MethodPost, "/spaces", `{"name":"blue","description":"The blue one"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/oauth/authorizations", `{"description":"reader","scope":["read"]}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps", `{"name":"empty"}`, http.StatusCreated, nil)

	d.do(http.MethodPost, "/apps", `{"name":"shop"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/shop-default/config-vars", `{"COLOR":"blue","QUOTED":"\"a\" $b\nc ✓","EMPTY":""}`, http.StatusOK, nil)
	for _, body := range []string{
		`{"type":"web","quantity":2,"healthcheck":"/?ready=1","port":8080,"size":"gp1"}`,
		`{"type":"worker","command":"/app worker","size":"gp1"}`,
		`{"type":"migrate","oneoff":true,"command":"/app crash 3","options":{"env":{"STEP":"one"}}}`,
		`{"type":"tick","schedule":"* * * * *","command":"/app crash 0","size":"gp1"}`,
	} {
		d.do(http.MethodPost, "/apps/shop-default/formation", body, http.StatusOK, nil)
	}
	d.do(http.MethodPost, "/apps/shop-default/builds", `{"url":"`+image+`","process_types":{"clock":"/app worker"}}`, http.StatusCreated, nil)
	d.waitRelease("shop-default", 2, "succeeded") // v1 is of the config vars
	d.do(http.MethodPatch, "/apps/shop-default/formation/clock", `{"quantity":1}`, http.StatusOK, nil)
	d.waitDynos("shop-default", "clock", time.Minute, allReady(1))
	d.do(http.MethodPatch, "/apps/shop-default/config-vars", `{"COLOR":"red"}`, http.StatusOK, nil)
	d.waitRelease("shop-default", 3, "succeeded")
	d.do(http.MethodPost, "/apps/shop-default/builds", `{"url":"`+image+`","process_types":{"clock":"/app crash 4"}}`, http.StatusCreated, nil)
	d.waitRelease("shop-default", 4, "failed")
	d.do(http.MethodPost, "/apps/shop-default/releases", `{"release":2}`, http.StatusCreated, nil)
	d.waitRelease("shop-default", 5, "succeeded")

	d.do(http.MethodPost, "/apps", `{"name":"blog","space":"blue"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/blog-blue/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.waitRelease("blog-blue", 1, "succeeded")
	d.do(http.MethodPatch, "/apps/blog-blue", `{"maintenance":true}`, http.StatusOK, nil)

	d.do(http.MethodPost, "/apps", `{"name":"held"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/held-default/formation", `{"type":"worker","command":"/app worker"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/held-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.waitRelease("held-default", 1, "succeeded")
	d.do(http.MethodPatch, "/apps/held-default/formation/worker", `{"command":"/app crash 5"}`, http.StatusOK, nil)
	d.waitNotice("held-default", "worker", "held at the last good definition")

	d.waitRun("shop-default", d.run("shop-default", map[string]any{"type": "migrate"}), time.Minute, "stopped")
	d.waitSlots("shop-default", 75*time.Second, 1)
	d.do(http.MethodPatch, "/apps/shop-default/formation/tick", `{"quantity":0}`, http.StatusOK, nil)
	d.waitDynos("shop-default", "web", time.Minute, allReady(2))
	d.waitDynos("blog-blue", "web", time.Minute, func(list []dyno) bool { return len(list) == 0 })
}
