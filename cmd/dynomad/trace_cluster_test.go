//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_deployLogged deploys an app, and wants all the lines about it to have the id of the request, the app and the release.
func TestCluster_deployLogged(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_LOG_FORMAT=json")...)
	image := d.cluster.Image(t, "hello")
	d.do(http.MethodPost, "/apps", `{"name":"traced"}`, http.StatusCreated, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/apps/traced-default/builds", strings.NewReader(`{"url":"`+image+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	id := resp.Header.Get("Request-Id")
	if resp.StatusCode != http.StatusCreated || id == "" {
		t.Fatalf("POST builds: %d, request %q", resp.StatusCode, id)
	}
	nomadtest.Eventually(t, time.Minute, func(context.Context) error { return d.tracedTo(id) })
}

// tracedTo reads the log for the lines about a request, up to the end of its release.
func (d *daemon) tracedTo(id string) error {
	text, err := os.ReadFile(d.process.LogPath())
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) != nil || one["request_id"] != id {
			continue
		}
		seen[fmt.Sprintf("%s: %s", one["@module"], one["@message"])] = true
		if one["app"] != "traced-default" || one["release"] != 1.0 {
			d.tb.Errorf("a line lacks the app or the release: %s", line)
		}
	}
	for _, want := range []string{"dynomad.api: request", "dynomad.loop: registered job", "dynomad.loop: release succeeded"} {
		if !seen[want] {
			return fmt.Errorf("no line %q has the request's id %s: %v", want, id, seen)
		}
	}
	return nil
}
