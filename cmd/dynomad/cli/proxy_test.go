package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestProxy forwards with the token, only for those who have the key, and ends with its context.
func TestProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("apps:create", "api")
	ctx, cancel := context.WithCancel(t.Context())
	out, printed := io.Pipe()
	done := make(chan error, 1)
	go func() {
		root := &cobra.Command{Use: "dynomad", SilenceUsage: true, SilenceErrors: true}
		root.SetOut(printed)
		root.SetErr(io.Discard)
		Add(root, w.env)
		root.SetArgs([]string{"proxy", "--json"})
		done <- root.ExecuteContext(ctx)
	}()
	var vars map[string]string
	if err := json.NewDecoder(out).Decode(&vars); err != nil {
		t.Fatal(err)
	}
	host, key := vars["HEROKU_HOST"], vars["HEROKU_API_KEY"]
	if !strings.HasPrefix(host, "http://127.0.0.1:") || len(key) < 20 || strings.Contains(key, w.vars["DYNOMAD_TOKEN"]) {
		t.Errorf("variables %v", vars)
	}
	ask := func(authorization string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, host+"/apps/api-default", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for authorization, want := range map[string]int{
		"Bearer " + key: 200, key: 200, "": 401, "Bearer wrong": 401, "Bearer " + w.vars["DYNOMAD_TOKEN"]: 401, "Basic !": 401,
	} {
		if status, body := ask(authorization); status != want || !json.Valid([]byte(body)) {
			t.Errorf("%q: %d %s, want %d", authorization, status, body, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestProxy_command runs a command with the variables, whose exit code counts.
func TestProxy_command(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	r := w.do("proxy", "--", "sh", "-c", `case $HEROKU_HOST in http://127.0.0.1:*) echo "key of ${#HEROKU_API_KEY}"; exit 9; esac`)
	if r.code != 9 || r.out != "key of 26\n" {
		t.Errorf("got %+v", r)
	}
	if r := w.do("proxy", "--", "/nothere"); r.code != exitFailed {
		t.Errorf("no such command: %+v", r)
	}
	w.vars["DYNOMAD_TOKEN"] = "wrong"
	if r := w.do("proxy", "--", "sh", "-c", "echo ran"); r.code != exitNotAllowed || bytes.Contains([]byte(r.out), []byte("ran")) {
		t.Errorf("without a good token: %+v", r)
	}
}
