//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// awkward are config values that have broken env files, templates and shells.
func awkward() map[string]string {
	return map[string]string{
		"NEWLINES": "a\nb\r\nc\n", "QUOTES": `"double" 'single' \back\\`, "NOMAD": "${node.unique.id} ${NOMAD_ALLOC_ID} %{if}",
		"TEMPLATE": "{{ key }} {{ env `HOME` }}", "HASH": "a # b", "CR": "\r", "TAB": "\ta\t", "UTF8": "äöü ✓ 🚀", "HTML": "<a href=\"x\">&amp;</a>",
		"BLANKS": "  both ends  ", "EMPTY": "", "EQUALS": "a=b=c", "DOLLAR": "$HOME $$ $(id) `id`", "JSON": `{"a":[1,"\u00e4"]}`,
		"CONTROL": "\x01\x1b[31m\x7f", "SEPARATORS": "\u2028\u2029", "LONG": strings.Repeat("x", 20000),
	}
}

// TestCluster_configBytes reads config vars back inside web and worker: byte for byte.
func TestCluster_configBytes(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	want := awkward()
	d.do(http.MethodPost, "/apps", `{"name":"bytes"}`, http.StatusCreated, nil)
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodPatch, "/apps/bytes-default/config-vars", string(body), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/bytes-default/formation", `{"type":"web","command":"httpd -f -p 9000"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/bytes-default/formation", `{"type":"worker","command":"sleep 1000"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/bytes-default/builds", `{"url":"`+d.cluster.Image(t, "busybox")+`"}`, http.StatusCreated, nil)
	for _, dynoType := range []string{"web", "worker"} {
		y := d.waitDynos("bytes-default", dynoType, time.Minute, allReady(1))[0]
		got := d.environment(y)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s arrived as %q, want %q", dynoType, name, got[name], value)
			}
		}
		for name, value := range map[string]string{
			"DYNO": dynoType + ".1", "DYNOMAD_APP": "bytes-default", "DYNOMAD_SPACE": "default", "DYNOMAD_RELEASE": "v2",
		} {
			if got[name] != value {
				t.Errorf("%s: %s is %q, want %q", dynoType, name, got[name], value)
			}
		}
		if port, has := got["PORT"]; has != (dynoType == "web") || (has && port != "9000") {
			t.Errorf("%s: PORT is %q (%t)", dynoType, port, has)
		}
	}
}

// environment reads the environment that a dyno's container was started with.
func (d *daemon) environment(y dyno) map[string]string {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(d.tb.Context(), 20*time.Second)
	defer cancel()
	nomad := d.cluster.NomadClient()
	alloc, _, err := nomad.Allocations().Info(y.ID, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		d.tb.Fatalf("reading allocation %s: %v", y.ID, err)
	}
	const end = "the end" // Nomad's docker driver can lose the tail of what a command says
	var said string
	nomadtest.Eventually(d.tb, 20*time.Second, func(context.Context) error {
		var out, errs bytes.Buffer
		read := []string{"sh", "-c", "cat /proc/1/environ; printf '" + end + "'"}
		code, err := nomad.Allocations().Exec(ctx, alloc, y.Type, false, read, strings.NewReader(""), &out, &errs, nil, nil)
		if err != nil || code != 0 || !strings.HasSuffix(out.String(), end) {
			return fmt.Errorf("reading the environment of %s: exit %d, %w, %s", y.Name, code, err, errs.String())
		}
		said = strings.TrimSuffix(out.String(), end)
		return nil
	})
	env := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(said, "\x00"), "\x00") {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// readToken makes a token that may read all but what is protected.
func (d *daemon) readToken() string {
	d.tb.Helper()
	var made struct {
		AccessToken struct{ Token string } `json:"access_token"`
	}
	d.do(http.MethodPost, "/oauth/authorizations", `{"description":"reader","scope":["read"]}`, http.StatusCreated, &made)
	return made.AccessToken.Token
}

// nomadAnswer gives what Nomad's API says at a path.
func (d *daemon) nomadAnswer(path string) []byte {
	d.tb.Helper()
	body, err := d.cluster.NomadClient().Raw().Response(path, nil)
	if err != nil {
		return []byte(err.Error())
	}
	defer body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(body)
	if err != nil {
		d.tb.Fatalf("reading %s: %v", path, err)
	}
	return text
}
