//go:build integration && clients

package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// herokuCLI is Heroku's own command line, as npm has it (tools/clients.sh).
type herokuCLI struct {
	tb   testing.TB
	path string
	env  []string
}

func (d *daemon) herokuCLI() *herokuCLI {
	d.tb.Helper()
	found, err := filepath.Glob("../../bin/clients/heroku-*/node_modules/.bin/heroku")
	if err != nil || len(found) != 1 {
		d.tb.Fatalf("found %q, %v: make test-clients installs it", found, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		d.tb.Fatal(err)
	}
	return &herokuCLI{tb: d.tb, path: path, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.tb.TempDir(), "HEROKU_HOST=" + d.url, "HEROKU_PARTICLEBOARD_URL=" + d.url,
		"HEROKU_API_KEY=" + d.token, "DISABLE_TELEMETRY=true", "IS_HEROKU_TEST_ENV=true", "HEROKU_SKIP_NEW_VERSION_CHECK=true", "TERM=dumb",
	}}
}

// run runs a command for as long as ctx, and gives all that it printed and its exit code.
func (h *herokuCLI) run(ctx context.Context, args ...string) (string, int) {
	h.tb.Helper()
	cmd := exec.CommandContext(ctx, h.path, args...)
	cmd.Env = h.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.tb.Fatalf("heroku %q: %v", args, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that must succeed and print what fits.
func (h *herokuCLI) must(pattern string, args ...string) string {
	h.tb.Helper()
	ctx, cancel := context.WithTimeout(h.tb.Context(), 2*time.Minute)
	defer cancel()
	out, code := h.run(ctx, args...)
	if code != 0 || !regexp.MustCompile(pattern).MatchString(out) {
		h.tb.Errorf("heroku %s: exit code %d, want %q in\n%s", strings.Join(args, " "), code, pattern, out)
	}
	return out
}

// TestClients_heroku drives everything that the API promises Heroku's command line.
func TestClients_heroku(t *testing.T) {
	d := startDaemon(t, quick()...)
	h := d.herokuCLI()
	const app = "hcli-default"
	of := func(args ...string) []string { return append([]string{args[0], "-a", app}, args[1:]...) }

	h.must(`root@dynomad\.local`, "auth:whoami")
	h.must(`hcli-default`, "apps:create", "hcli")
	h.must(`hcli-default`, "apps")
	h.must(`hcli-default`, of("apps:info")...)
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+d.cluster.Image(t, "busybox")+`","process_types":{"web":"httpd -f -p 9000","worker":"sleep 3600"}}`,
		http.StatusCreated, nil)
	d.waitDynos(app, "web", time.Minute, allReady(1))
	d.waitRelease(app, 1, "succeeded")

	h.must(`web\.1: up`, of("ps")...)
	h.must(`web at 2`, of("ps:scale", "web=2", "worker=1")...)
	d.waitDynos(app, "web", time.Minute, allReady(2))
	h.must(``, of("ps:wait")...)
	h.must(`worker\s+gp2|gp2`, of("ps:type")...)
	h.must(`gp1`, of("ps:type", "worker=gp1")...)
	h.must(``, of("ps:wait")...)
	before := d.waitDynos(app, "web", time.Minute, allReady(2))
	h.must(`(?i)restarting`, of("ps:restart", "-p", "web")...)
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool { return allReady(2)(list) && list[0].ID != before[0].ID })
	h.must(`(?i)stopping`, of("ps:stop", "-d", "worker.1")...)

	h.must(`(?s)COLOR.*v2`, of("config:set", "COLOR=red")...)
	h.must(`COLOR:\s+red`, of("config")...)
	if out := h.must(`^red\n$`, of("config:get", "COLOR")...); out == "" {
		t.Error("config:get says nothing")
	}
	d.waitRelease(app, 2, "succeeded")
	h.must(`(?s)v2.*Set COLOR config vars.*v1`, of("releases")...)
	h.must(`COLOR`, of("releases:info", "v2")...)
	h.must(`(?i)rolling back.*v1`, of("releases:rollback", "v1")...)
	d.waitRelease(app, 3, "succeeded")
	h.must(`COLOR`, of("config:set", "COLOR=blue")...)
	h.must(`(?i)unsetting COLOR`, of("config:unset", "COLOR")...)

	h.must(`run\.1001`, of("run:detached", "--", "echo to be logged; exit 7")...)
	d.waitRunOf(app, "run.1001", 7)
	h.must(`app\[run\.1001\]: to be logged`, of("logs", "-n", "100")...)
	h.tail(app, `app\[run\.1002\]: while tailed`, func() {
		h.must(`run\.1002`, of("run:detached", "--", "sleep 1; echo while tailed")...)
	})

	u := d.user() // as with a daemon that is elsewhere
	u.env = append(u.env, "DYNOMAD_TOKEN="+d.token, "TERM=dumb")
	u.must("web.1: up", "proxy", "--", h.path, "ps", "-a", app)
	u.must("to be logged", "proxy", "--", h.path, "logs", "-a", app)
	if _, errOut, code := u.run("", "proxy", "--", h.path, "apps:info", "-a", "nothere-default"); code == 0 || !strings.Contains(errOut, "does not exist") {
		t.Errorf("apps:info of no app through the proxy: exit code %d\n%s", code, errOut)
	}

	h.must(`Enabling maintenance mode`, of("maintenance:on")...)
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool { return len(living(list)) == 0 })
	h.must(`Disabling maintenance mode`, of("maintenance:off")...)
	d.waitDynos(app, "web", time.Minute, allReady(2))
	if out, code := h.run(t.Context(), "apps:info", "-a", "nothere-default"); code == 0 || !strings.Contains(out, "does not exist") {
		t.Errorf("apps:info of no app: exit code %d\n%s", code, out)
	}
}

// living are the dynos that have not ended.
func living(list []dyno) []dyno {
	var up []dyno
	for _, y := range list {
		if y.State != "stopped" {
			up = append(up, y)
		}
	}
	return up
}

// waitRunOf waits for the end of a one-off dyno.
func (d *daemon) waitRunOf(app, name string, code int) {
	d.tb.Helper()
	var y runDyno
	d.do(http.MethodGet, "/apps/"+app+"/dynos/"+name, "", http.StatusOK, &y)
	if y = d.waitRun(app, y, time.Minute, "stopped"); y.exit() != code {
		d.tb.Errorf("%s ended with %d, %q", name, y.exit(), y.AdditionalInfo)
	}
}

// tail runs logs --tail while something happens, until a line comes that fits.
func (h *herokuCLI) tail(app, pattern string, meanwhile func()) {
	h.tb.Helper()
	ctx, cancel := context.WithTimeout(h.tb.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.path, "logs", "--tail", "-a", app)
	cmd.Env = h.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.tb.Fatal(err)
	}
	defer cmd.Wait() //nolint:errcheck // it is ended
	defer cancel()
	go meanwhile()
	var seen bytes.Buffer
	buffer := make([]byte, 4096)
	for !regexp.MustCompile(pattern).Match(seen.Bytes()) {
		n, err := out.Read(buffer)
		seen.Write(buffer[:n])
		if err != nil {
			h.tb.Errorf("logs --tail ended with %v before %q came:\n%s", err, pattern, seen.String())
			return
		}
	}
}
