//go:build integration

package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mistakes sends requests that are wrong and have a secret in them. What they are answered with may name what is wrong by the name
// that it was called, and repeats no value.
func (s *secretive) mistakes(t *testing.T) {
	app := "/apps/" + s.app
	vars := app + "/config-vars"
	object := func(name, value any) string { return asJSON(t, map[string]any{name.(string): value}) }
	basic := base64.StdEncoding.EncodeToString([]byte("user:" + s.word("wrong token of Basic")))
	for _, tt := range []struct {
		method, path, body string
		header             []string
		want               int
		names              bool // the answer may name it
	}{
		{"GET", "/apps/" + s.word("in a path"), "", nil, 404, true},
		{"GET", "/" + s.word("in a path of no route"), "", nil, 404, true},
		{"GET", app + "/releases/" + s.word("in a deep path"), "", nil, 404, true},
		{"DELETE", "/oauth/authorizations/" + s.word("token in a path"), "", nil, 404, true},
		{"GET", "/log-sessions/" + s.word("wrong secret of a log session"), "", nil, 404, false},
		{"GET", app + "/dynos/run.1/stream?secret=" + s.word("secret of what is no WebSocket"), "", nil, 426, false},
		{"GET", "/apps?token=" + s.word("token in a query"), "", []string{"Authorization", ""}, 401, false},
		{"GET", "/apps", "", []string{"Authorization", s.word("wrong token")}, 401, false},
		{"GET", "/apps", "", []string{"Authorization", "Bearer " + s.word("wrong token of Bearer")}, 401, false},
		{"GET", "/apps", "", []string{"Authorization", "Basic " + basic}, 401, false},
		{"GET", "/apps", "", []string{"Accept", "application/vnd.heroku+json; version=" + s.word("in Accept")}, 406, false},
		{"GET", "/apps", "", []string{"Range", "name " + s.word("in Range")}, 416, false},
		{"GET", "/account", "", []string{"Cookie", "session=" + s.word("cookie")}, 200, false},
		{"PATCH", vars, `{"A":"` + s.word("in what is no JSON"), nil, 400, false},
		{"PATCH", vars, asJSON(t, []string{s.secret("in an array")}), nil, 400, false},
		{"PATCH", vars, object("A", []string{s.secret("in a value of the wrong type")}), nil, 422, false},
		{"PATCH", vars, object("1A", s.secret("of a wrong name")), nil, 422, false},
		{"PATCH", vars, object("PORT", s.secret("of a reserved name")), nil, 409, false},
		{"PATCH", vars, object("A", s.secret("with NUL")+"\x00"), nil, 422, false},
		{"PATCH", vars, object("A", s.secret("too long")+strings.Repeat("x", 65<<10)), nil, 422, false},
		{"PATCH", vars, object("A", s.secret("of a form")), []string{"Content-Type", "multipart/form-data; boundary=x"}, 415, false},
		{"PATCH", vars, object("A", s.secret("larger than allowed")+strings.Repeat("x", 2<<20)), nil, 413, false},
		{"PATCH", "/apps/nowhere-default/config-vars", object("A", s.secret("of no app")), nil, 404, false},
		{"POST", app + "/builds", object("url", "docker://user:"+s.word("password of a registry")+"@registry/x:1"), nil, 422, false},
		{"POST", app + "/builds", object("url", "https://user:"+s.word("password of a source")+"@host/x.tgz"), nil, 422, false},
		{"POST", app + "/dynos", asJSON(t, map[string]any{"command": "x", "env": map[string]string{"1A": s.secret("in a run's wrong name")}}), nil, 422, false},
		{"POST", app + "/dynos", asJSON(t, map[string]any{"command": "x", "env": map[string]any{"A": []string{s.secret("in a run's wrong value")}}}), nil, 422, false},
		{"POST", app + "/formation", asJSON(t, map[string]any{"type": "w", "options": map[string]any{"env": map[string]string{"1A": s.secret("in wrong options")}}}), nil, 422, false},
		{"POST", "/oauth/authorizations", asJSON(t, map[string]any{"scope": []string{s.word("in a scope")}}), nil, 422, true},
		{"PATCH", app + "/formation/web", object("quantity", s.word("in a quantity")), nil, 422, true},
	} {
		status, answer := s.send(t, tt.method, tt.path, tt.body, tt.header)
		if status != tt.want {
			t.Errorf("%s %.60s %.60s: %d %.300s, want %d", tt.method, tt.path, tt.body, status, answer, tt.want)
		}
		if !tt.names {
			s.look(t, "the answer to "+tt.method+" "+tt.path, []byte(answer))
		}
	}
}

// send sends a request with the root token, unless the headers say otherwise.
func (s *secretive) send(t *testing.T, method, path, body string, header []string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", s.token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// commands runs commands that fail, with secrets among their words, in their environment and in what they read.
func (s *secretive) commands(t *testing.T) {
	u := s.user()
	if _, said, code := u.run(s.token+"\n", "login", s.url); code != 0 {
		t.Fatalf("login: %d %s", code, said)
	}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		env   string
		stdin string
		args  []string
	}{
		{"DYNOMAD_TOKEN=" + s.word("wrong token of a command"), "", []string{"apps"}},
		{"DYNOMAD_URL=http://user:" + s.word("password of the daemon") + "@127.0.0.1:1", "", []string{"apps"}},
		{"DYNOMAD_URL=http://127.0.0.1:1/?token=" + s.word("token in the daemon's URL"), "", []string{"apps"}},
		{"", s.word("wrong token at login") + "\n", []string{"login", s.url}},
		{"", "", []string{"config:set", "A=" + s.secret("command's value for no app"), "-a", "nowhere-default"}},
		{"", "", []string{"config:set", "1A=" + s.secret("command's value of a wrong name"), "-a", s.app}},
		{"", "", []string{"config:set", "A=1", s.word("command's value alone"), "-a", s.app}},
		{"", "", []string{"config:set", "=" + s.word("command's value without a name"), "-a", s.app}},
		{"", "", []string{"config:set", "--file", file("A='" + s.word("in an open quote") + "\n"), "-a", s.app}},
		{"", s.word("in a line of no name") + "\n", []string{"config:set", "--file", "-", "-a", s.app}},
		{"", "", []string{"run", "-a", s.app, "-e", s.word("run's value alone"), "true"}},
		{"", "", []string{"run", "-a", s.app, "-e", "1A=" + s.secret("run's value of a wrong name"), "true"}},
		{"", "", []string{"deploy", "docker://user:" + s.word("password of deploy") + "@registry/x:1", "-a", s.app}},
		{"", "", []string{"apps", "--token=" + s.word("in a flag that is none")}},
	} {
		own := u.env
		if tt.env != "" {
			u.env = append(append([]string{}, own...), tt.env)
		}
		out, said, code := u.run(tt.stdin, tt.args...)
		u.env = own
		if code == 0 {
			t.Errorf("%.60q succeeded", tt.args)
		}
		s.look(t, "dynomad "+tt.args[0], []byte(out+said))
	}
	s.daemonsThatFail(t, file("-----BEGIN PRIVATE KEY-----\n"+s.word("TLS key")+"\n-----END PRIVATE KEY-----\n"))
}

// daemonsThatFail starts daemons that cannot start.
func (s *secretive) daemonsThatFail(t *testing.T, key string) {
	own := s.env
	defer func() { s.env = own }()
	for _, env := range [][]string{
		nil, // the data folder is in use
		{"DYNOMAD_DATA_DIR=" + t.TempDir(), "NOMAD_CLIENT_CERT=" + key, "NOMAD_CLIENT_KEY=" + key},
		{"DYNOMAD_EXTERNAL_URL=ftp://user:" + s.word("password of the external URL") + "@host"},
		{"DYNOMAD_NOMAD_UI_URL=ftp://user:" + s.word("password of Nomad's UI") + "@host"},
	} {
		s.env = append(append([]string{}, own...), env...)
		said, err := s.tool("server")
		if err == nil {
			t.Errorf("a daemon started with %v", env)
		}
		s.look(t, "dynomad server", []byte(said))
	}
}
