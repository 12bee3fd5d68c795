package server_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/api")

// transcript is a file of testdata/api: a request, written by hand, and what the API answers. The world it is sent to is
// the one of newWorld. A new case is a new file with a request; -update fills in the rest.
type transcript struct {
	Request  transcriptRequest `json:"request"`
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers,omitempty"`
	Response json.RawMessage   `json:"response,omitempty"`
}

type transcriptRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Token   string            `json:"token,omitempty"` // a scope, or "none"; the root token if absent
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
	Brief   bool              `json:"brief,omitempty"` // the answer's body is kept elsewhere
}

// transcriptHeaders are the headers of an answer that a transcript keeps.
var transcriptHeaders = []string{
	"Accept-Ranges", "Allow", "Content-Range", "Content-Type", "Dynomad-Stale", "Next-Range", "Retry-After", "WWW-Authenticate",
}

// TestTranscripts replays every transcript, and fails on a route that has none.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../testdata/api/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	covered := map[string]bool{}
	t.Run("replay", func(t *testing.T) {
		for _, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				route := replay(t, path)
				mu.Lock()
				defer mu.Unlock()
				covered[route] = true
			})
		}
	})
	for _, rt := range server.Routes() {
		if name := rt.Method + " " + rt.Path; !covered[name] {
			t.Errorf("%s has no transcript in testdata/api", name)
		}
	}
}

// replay sends a transcript's request and compares the answer. It gives the route that answered.
func replay(t *testing.T, path string) string {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file transcript
	if err := json.Unmarshal(old, &file); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var headers []string
	for name, value := range file.Request.Headers {
		headers = append(headers, name, value)
	}
	a := w.ask(tokenNamed(file.Request.Token), file.Request.Method, file.Request.Path, string(file.Request.Body), headers...)
	file.Status, file.Headers, file.Response = a.status, map[string]string{}, w.normalized(a.body)
	if file.Request.Brief {
		file.Response = nil
	}
	for _, name := range transcriptHeaders {
		if value := a.header.Get(name); value != "" {
			file.Headers[name] = value
		}
	}
	got, err := encoded(file)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil { //nolint:gosec // everybody may read it
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(old), string(got)); diff != "" {
		t.Errorf("the answer is another one (-update rewrites the file):\n%s", diff)
	}
	return w.route
}

func tokenNamed(name string) string {
	switch name {
	case "":
		return rootToken
	case "none":
		return ""
	}
	return tokenFor(dynomad.Scope(name), "any")
}

// normalized gives a body as it is kept: without what differs from run to run, and as a text if it is no JSON.
func (w *world) normalized(body string) json.RawMessage {
	w.tb.Helper()
	space, err := w.store.Space(w.tb.Context(), dynomad.DefaultSpace)
	if err != nil {
		w.tb.Fatal(err)
	}
	if !json.Valid([]byte(body)) {
		text, err := json.Marshal(body)
		if err != nil {
			w.tb.Fatal(err)
		}
		return text
	}
	return bytes.ReplaceAll([]byte(body), []byte(space.ID), []byte("<id of the default space>"))
}

func encoded(file transcript) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(file)
	return out.Bytes(), err
}
