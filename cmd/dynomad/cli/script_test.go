package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"mvdan.cc/sh/v3/shell"

	"github.com/dynomad/dynomad/cmd/apitest"
)

var update = flag.Bool("update", false, "rewrite the scripts in testdata/cli")

// world is a user with a daemon.
type world struct {
	tb    testing.TB
	api   *apitest.API
	home  string
	space string // id of the default space
	vars  map[string]string
	env   Env
}

// newWorld is a user who has the root token in the environment.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, api: apitest.Start(tb), home: tb.TempDir()}
	w.space = w.api.DefaultSpace(tb)
	w.vars = map[string]string{"DYNOMAD_URL": w.api.URL, "DYNOMAD_TOKEN": apitest.Token, "HOME": w.home}
	w.env = Env{
		Getenv: func(name string) string { return w.vars[name] }, Version: "1.2.3", Poll: time.Millisecond,
		Now: func() time.Time { return apitest.Began().Add(90 * time.Second) },
	}
	return w
}

// result is what a command did.
type result struct {
	out, err string
	code     int
}

// run runs a command line as main does.
func (w *world) run(ctx context.Context, stdin io.Reader, args ...string) result {
	var out, errOut bytes.Buffer
	root := &cobra.Command{Use: "dynomad", Short: "Dynomad", SilenceUsage: true, SilenceErrors: true}
	root.SetIn(stdin)
	root.SetOut(&out)
	root.SetErr(&errOut)
	Add(root, w.env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(&errOut, "dynomad: "+err.Error())
	}
	return result{out.String(), errOut.String(), ExitCode(err)}
}

// do runs a command that needs no input.
func (w *world) do(args ...string) result {
	return w.run(w.tb.Context(), strings.NewReader(""), args...)
}

// must is do for commands that succeed.
func (w *world) must(args ...string) string {
	w.tb.Helper()
	r := w.do(args...)
	if r.code != 0 {
		w.tb.Fatalf("dynomad %q: exit %d %s", args, r.code, r.err)
	}
	return r.out
}

// TestScripts replays every script of testdata/cli: after each line "$ dynomad …" stands what it printed, on standard error after
// "! ", and its exit code if that is not 0. A line may end in <<< 'input', and start with NAME=value. A script starts with a fresh daemon.
func TestScripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../../testdata/cli/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts: ", err)
	}
	used := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 2 && words[0] == "$" {
				used[words[2]] = true
			}
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			got := newWorld(t).script(string(text))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // everybody may read it
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("another output (-update rewrites the script):\n%s", diff)
			}
		})
	}
	root := &cobra.Command{Use: "dynomad"}
	Add(root, Env{})
	for _, cmd := range root.Commands() {
		if !used[cmd.Name()] && cmd.Name() != "man" && cmd.Name() != "proxy" {
			t.Errorf("no script uses %s", cmd.Name())
		}
	}
}

// script runs the commands of a script and gives it as it should be.
func (w *world) script(text string) string {
	w.tb.Helper()
	var made strings.Builder
	for line := range strings.Lines(text) {
		command, isCommand := strings.CutPrefix(line, "$ ")
		if isCommand {
			made.WriteString(line + w.line(strings.TrimSpace(command)))
		} else if strings.HasPrefix(line, "# ") {
			made.WriteString(line)
		}
	}
	return made.String()
}

// line runs one line of a script.
func (w *world) line(line string) string {
	w.tb.Helper()
	command, input, _ := strings.Cut(line, "<<<")
	words, err := shell.Fields(command, func(name string) string { return w.vars[name] })
	if err != nil {
		w.tb.Fatalf("%s: %v", line, err)
	}
	given, err := shell.Fields(strings.TrimSpace(input), nil)
	if err != nil {
		w.tb.Fatalf("%s: %v", line, err)
	}
	old := map[string]string{}
	for len(words) > 0 && words[0] != "dynomad" {
		name, value, _ := strings.Cut(words[0], "=")
		old[name], w.vars[name] = w.vars[name], value
		words = words[1:]
	}
	r := w.run(w.tb.Context(), strings.NewReader(strings.Join(given, "\n")+"\n"), words[1:]...)
	for name, value := range old {
		w.vars[name] = value
	}
	made := r.out
	for told := range strings.Lines(r.err) {
		made += "! " + told
	}
	if r.code != 0 {
		made += fmt.Sprintf("[exit %d]\n", r.code)
	}
	return strings.NewReplacer(w.api.URL, "http://dynomad.example", w.home, "/home/me", w.space, "<id of the default space>").Replace(made)
}
