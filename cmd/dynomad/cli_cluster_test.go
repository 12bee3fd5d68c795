//go:build integration

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/dynomad/dynomad/cmd/dynomad/cli"
)

// user is somebody at a shell, with a daemon and the program.
type user struct {
	tb   testing.TB
	path string // of the program
	env  []string
	used map[string]bool // commands
}

func (d *daemon) user() *user {
	d.tb.Helper()
	path, err := binary()
	if err != nil {
		d.tb.Fatal(err)
	}
	return &user{tb: d.tb, path: path, used: map[string]bool{}, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "DYNOMAD_APP=cli", "DYNOMAD_URL=" + d.url,
	}}
}

// run runs a command, and gives what it printed and its exit code.
func (u *user) run(stdin string, args ...string) (out, errOut string, code int) {
	u.tb.Helper()
	u.used[args[0]] = true
	ctx, cancel := context.WithTimeout(u.tb.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, u.path, args...)
	cmd.Env, cmd.Stdin = u.env, strings.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.tb.Fatalf("dynomad %q: %v", args, err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that must succeed and print what is wanted.
func (u *user) must(want string, args ...string) string {
	u.tb.Helper()
	out, errOut, code := u.run("", args...)
	if code != 0 || !strings.Contains(out, want) {
		u.tb.Fatalf("dynomad %q: exit %d, want %q in\n%s%s", args, code, want, out, errOut)
	}
	return out
}

func (u *user) login(d *daemon) {
	u.tb.Helper()
	if out, errOut, code := u.run(d.token+"\n", "login", d.url); code != 0 {
		u.tb.Fatalf("login: %d %s%s", code, out, errOut)
	}
}

// TestCluster_commands drives every command on the real cluster.
func TestCluster_commands(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "busybox")
	u := d.user()
	u.login(d)
	u.must("root@dynomad.local", "whoami")
	u.must("Created cli-default", "apps:create", "cli")
	u.firstDeploy(image)
	u.scaleAndChange()
	u.crash(image)
	u.dynosOneByOne()
	u.once()
	u.rest()
	u.must("Deleted cli-default", "apps:destroy", "--confirm", "cli-default")
	u.must("", "logout")
	if _, _, code := u.run("", "apps"); code != 4 {
		t.Errorf("after logout: exit code %d", code)
	}
	root := &cobra.Command{Use: "dynomad"}
	cli.Add(root, cli.Env{})
	for _, cmd := range root.Commands() {
		if !cmd.Hidden && !u.used[cmd.Name()] {
			t.Errorf("%s was not used", cmd.Name())
		}
	}
}

// TestCluster_crashingDeploy has no other test beside it: it is about time as a person sees it.
func TestCluster_crashingDeploy(t *testing.T) {
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "busybox")
	u := d.user()
	u.login(d)
	u.must("Created cli-default", "apps:create", "cli")
	u.firstDeploy(image)
	if took := u.crash(image); took > 40*time.Second {
		t.Errorf("a deploy that crashes is told of after %s, want 40 s at most", took)
	}
}

const (
	webCommand    = `sh -c 'exec httpd -f -p "$PORT"'`
	workerCommand = `sh -c 'trap exit TERM; sleep 3600 & wait'` // ends when it is told to, which sleep as first process does not
)

func (u *user) firstDeploy(image string) {
	u.tb.Helper()
	u.must("Set COLOR, GONE: v1", "config:set", "COLOR=red", "GONE=1")
	start := time.Now()
	out := u.must("v2 has succeeded", "deploy", image, "--process", "web="+webCommand, "--process", "worker="+workerCommand)
	u.tb.Logf("the first deploy took %s:\n%s", time.Since(start).Round(100*time.Millisecond), out)
	for _, want := range []string{"to cli-default: v2", "web.1  running", "http://cli-default.apps.localhost"} {
		if !strings.Contains(out, want) {
			u.tb.Errorf("deploy does not say %q", want)
		}
	}
	u.must("web.1", "ps", "web")
	u.must("cli-default", "apps")
	u.must(image, "apps:info")
	u.must("http://cli-default.apps.localhost", "open")
}

func (u *user) scaleAndChange() {
	u.tb.Helper()
	u.must("web=2:gp2 worker=1:gp1", "ps:scale", "web=2", "worker+1:gp1")
	u.must("All dynos", "ps:wait", "--timeout", "1m")
	u.must("red\n", "config:get", "COLOR")
	u.must("GONE='1'", "config", "--shell")
	u.must("Created clock", "ps:create", "clock", "-c", "sleep 3600", "-s", "gp1", "-q", "0")
	u.must("sleep 7200", "ps:update", "clock", "-c", "sleep 7200")
	u.must("Removed clock", "ps:destroy", "clock", "--confirm", "clock")
	u.must("gp2", "sizes")
}

// crash deploys what crashes: the reason and exit code 6, and the old dynos serve on. It gives how long that took.
func (u *user) crash(image string) time.Duration {
	u.tb.Helper()
	start := time.Now()
	out, errOut, code := u.run("", "deploy", image, "--process", "web=sh -c 'echo my last words; exit 3'", "--process", "worker="+workerCommand)
	took := time.Since(start)
	u.tb.Logf("a deploy that crashes ended after %s:\n%s%s", took.Round(100*time.Millisecond), out, errOut)
	if code != 6 {
		u.tb.Errorf("exit code %d, want 6", code)
	}
	for _, want := range []string{"v3 failed: web is app-crashed", "exit code 3", "v2 stays in use", "]: my last words"} {
		if !strings.Contains(errOut, want) {
			u.tb.Errorf("it does not say %q", want)
		}
	}
	if !strings.Contains(out, "app-crashed") {
		u.tb.Error("it does not tell of the crash while it runs")
	}
	u.must("failed", "releases")
	u.must("exit code 3", "releases:info")
	u.must("running  v2", "ps", "web")
	return took
}

func (u *user) dynosOneByOne() {
	u.tb.Helper()
	u.must("Restarted worker", "ps:restart", "worker", "--wait", "--timeout", "1m")
	u.must("Stopping web.2", "ps:stop", "web.2")
	u.must("Sent signal TERM", "ps:kill", "worker.1")
	u.must("Removed GONE: v4", "config:unset", "GONE", "--wait", "--timeout", "1m")
	u.must("Rollback to v2 of cli-default: v5", "rollback", "--no-wait")
}

// once runs a command in a dyno of its own, and reads the logs.
func (u *user) once() {
	u.tb.Helper()
	out, errOut, code := u.run("typed", "run", "sh", "-c", `cat; echo "$COLOR" "$1" >&2; exit 5`, "sh", "a  b")
	if out != "typed" || !strings.Contains(errOut, "red a  b\n") || code != 5 {
		u.tb.Errorf("run: exit %d\n%s\n%s", code, out, errOut)
	}
	u.must("dynomad[release]: ", "logs", "-s", "dynomad")
}

func (u *user) rest() {
	u.tb.Helper()
	u.must("in maintenance", "maintenance:on")
	u.must("out of maintenance", "maintenance:off")
	u.must("Created the space", "spaces:create", "spare")
	u.must("spare", "spaces")
	u.must("Deleted the space", "spaces:destroy", "spare", "--confirm", "spare")
	u.must("", "tokens:create", "--expires-in", "1h", "-d", "mine")
	for line := range strings.Lines(u.must("mine", "tokens")) {
		if strings.Contains(line, "mine") {
			u.must("Revoked", "tokens:revoke", strings.Fields(line)[0])
		}
	}
	u.must("cli-default", "proxy", "--", "sh", "-c", `DYNOMAD_URL=$HEROKU_HOST DYNOMAD_TOKEN=$HEROKU_API_KEY "$0" apps`, u.path)
}
