package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// TestCompletion asks for names as a shell does.
func TestCompletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("spaces:create", "team")
	w.must("apps:create", "api")
	w.must("apps:create", "shop-team")
	w.must("deploy", "hello:1", "-a", "api", "--process", "worker=x", "--process", "web=serve")
	w.must("ps:scale", "worker=1", "-a", "api")
	w.must("config:set", "COLOR=red", "-a", "api")
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"ps", "--app", ""}, []string{"api-default", "shop-team"}},
		{[]string{"ps", "-a", "api", ""}, []string{"web", "worker"}},
		{[]string{"apps:info", ""}, []string{"api-default", "shop-team"}},
		{[]string{"apps:info", "api-default", ""}, nil},
		{[]string{"ps:scale", "-a", "api", ""}, []string{"web=1", "worker=1"}},
		{[]string{"ps:restart", "-a", "api", ""}, []string{"web", "worker", "web.1", "worker.1"}},
		{[]string{"ps:stop", "-a", "api", ""}, []string{"web.1", "worker.1"}},
		{[]string{"config:get", "-a", "api", ""}, []string{"COLOR"}},
		{[]string{"rollback", "-a", "api", ""}, []string{"v2", "v1"}},
		{[]string{"spaces:destroy", ""}, []string{"default", "team"}},
		{[]string{"ps", "-a", "nothere", ""}, nil},
		{[]string{"ps", ""}, nil},
	}
	for _, tt := range tests {
		r := w.do(append([]string{"__complete"}, tt.args...)...)
		var got []string
		for line := range strings.Lines(r.out) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, ":") {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, tt.want) || !strings.Contains(r.out, ":4") {
			t.Errorf("%q: got %q (%s), want %q", tt.args, got, r.out, tt.want)
		}
	}
	w.vars["DYNOMAD_URL"] = "http://127.0.0.1:1" // nobody is there
	if r := w.do("__complete", "ps", "--app", ""); r.code != 0 || strings.Contains(r.out, "refused") {
		t.Errorf("without a daemon: %+v", r)
	}
}

// TestTerminal checks colours and the width of tables.
func TestTerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("apps:create", "api")
	w.do("deploy", "crash:1", "-a", "api")
	w.env.Terminal = func(io.Writer) (int, bool) { return 60, true }
	out := w.must("ps", "-a", "api")
	if !strings.Contains(out, red+"app-crashed"+reset) || !strings.Contains(out, "…") {
		t.Errorf("on a terminal:\n%s", out)
	}
	for name, value := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		w.vars[name] = value
		out = w.must("ps", "-a", "api")
		if strings.Contains(out, "\x1b") {
			t.Errorf("with %s:\n%q", name, out)
		}
		delete(w.vars, name)
	}
	w.vars["NO_COLOR"] = "1"
	for line := range strings.Lines(w.must("ps", "-a", "api")) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 60 && !strings.HasPrefix(line, "===") {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	if out := w.must("ps", "-a", "api", "--json"); strings.Contains(out, "\x1b") || !json.Valid([]byte(out)) {
		t.Errorf("JSON on a terminal: %s", out)
	}
}

// TestTerminal_hostile checks that what others wrote cannot command the terminal.
func TestTerminal_hostile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("apps:create", "api", "--description", "\x1b[2Jgone\nsecond line")
	w.must("config:set", "A=\x1b]0;title\x07", "-a", "api")
	for _, args := range [][]string{{"apps:info", "api"}, {"config", "-a", "api"}} {
		if out := w.must(args...); strings.ContainsAny(out, "\x1b\x07") {
			t.Errorf("%q: %q", args, out)
		}
	}
	if out := w.must("config:get", "A", "-a", "api"); out != "\x1b]0;title\x07\n" {
		t.Errorf("config:get must give the value as it is: %q", out)
	}
}

// TestFollow_interrupted stops waiting for a release that does not end, in every way.
func TestFollow_interrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("apps:create", "api")
	r := w.do("deploy", "slow:1", "-a", "api", "--timeout", "500ms")
	if r.code != exitTimeout || !strings.Contains(r.err, "ps:wait") || !strings.Contains(r.out, "web.1  pending") {
		t.Errorf("deploy: %+v", r)
	}
	r = w.do("ps:wait", "-a", "api", "--timeout", "500ms")
	if r.code != exitTimeout || !strings.Contains(r.err, "0 of 1 dyno of web") {
		t.Errorf("ps:wait: %+v", r)
	}
	for _, args := range [][]string{{"deploy", "slow:2"}, {"ps:wait"}, {"ps:restart", "--wait"}, {"config:set", "A=1", "--wait"}} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := w.api.Requests.Load()
		go func() {
			for w.api.Requests.Load() < calls+12 && ctx.Err() == nil {
				time.Sleep(time.Millisecond) // between two looks at a condition
			}
			cancel()
		}()
		r := w.run(ctx, strings.NewReader(""), append(args, "-a", "api")...)
		cancel()
		if r.code != exitInterrupted || !strings.Contains(r.err, "interrupted") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	w.api.Cluster.End("api-default")
	if r := w.do("ps:wait", "-a", "api"); r.code != 0 {
		t.Errorf("when it has ended: %+v", r)
	}
}

// TestCredentials checks the file of dynomad login: for its owner only, and for its daemon only.
func TestCredentials(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	token := w.vars["DYNOMAD_TOKEN"]
	w.vars = map[string]string{"XDG_CONFIG_HOME": filepath.Join(w.home, "config")}
	r := w.run(t.Context(), strings.NewReader(token+"\n"), "login", w.api.URL+"/")
	if r.code != 0 || strings.Contains(r.out+r.err, token) {
		t.Fatalf("login: %+v", r)
	}
	path := filepath.Join(w.home, "config", "dynomad", "credentials.json")
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	w.must("apps")
	w.vars["DYNOMAD_URL"] = other.api.URL
	if r := w.do("apps"); r.code != exitNotAllowed || !strings.Contains(r.err, "no token") {
		t.Errorf("another daemon was shown the token: %+v", r)
	}
	w.vars["DYNOMAD_URL"] = w.api.URL + "/"
	w.must("apps")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.do("apps"); r.code != exitFailed || !strings.Contains(r.err, path) {
		t.Errorf("a broken file: %+v", r)
	}
	w.vars["DYNOMAD_TOKEN"] = token
	w.must("apps") // the file is not needed
	w.vars = map[string]string{}
	if r := w.do("logout"); r.code != exitFailed || !strings.Contains(r.err, "HOME") {
		t.Errorf("without a home: %+v", r)
	}
}

// TestOpen checks what is opened where there is a browser.
func TestOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("apps:create", "api")
	var opened []string
	w.env.Browse = func(_ context.Context, page string) error {
		opened = append(opened, page)
		return errors.New("no browser here")
	}
	r := w.do("open", "api")
	if r.code != 0 || !strings.Contains(r.err, "no browser here") || r.out != "http://api-default.apps.localhost\n" {
		t.Errorf("open: %+v", r)
	}
	w.must("open", "api", "--json")
	if !slices.Equal(opened, []string{"http://api-default.apps.localhost"}) {
		t.Errorf("opened %q", opened)
	}
}

// TestMan writes the manual pages.
func TestMan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "man")
	w.must("man", dir)
	text, err := os.ReadFile(filepath.Join(dir, "dynomad-deploy.1"))
	if err != nil || !strings.Contains(string(text), "Release an image") {
		t.Errorf("%v %s", err, text)
	}
}

// TestHelp checks that every command has what its help needs.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "dynomad"}
	Add(root, Env{})
	docs, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range root.Commands() {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 70 {
			t.Errorf("%s: %q is no short help", cmd.Name(), cmd.Short)
		}
		if !cmd.Hidden && !strings.Contains(string(docs), "`"+cmd.Name()) {
			t.Errorf("docs/cli.md does not tell of %s", cmd.Name())
		}
	}
}

// TestRun_keep interrupts commands that are connected with: one that was to run on comes to its own end.
func TestRun_keep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("apps:create", "api")
	w.must("deploy", "hello:1", "-a", "api")
	for _, tt := range []struct{ line, info string }{
		{"run", "Its client's connection was lost."},
		{"run --keep", "Its command ended with exit code 5."},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		stdin, typed := io.Pipe()
		go func() {
			_, _ = io.WriteString(typed, "x") // is read when there is a connection
			interrupt()
		}()
		r := w.run(ctx, stdin, append(strings.Fields(tt.line), "-a", "api", "exit", "5")...)
		interrupt()
		_ = stdin.Close()
		if r.code != exitInterrupted {
			t.Errorf("%s: %+v", tt.line, r)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			out := w.must("ps", "-a", "api", "--json")
			if strings.Contains(out, tt.info) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %s", tt.line, out)
			}
		}
	}
}
