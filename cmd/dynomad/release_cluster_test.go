//go:build integration && release

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// dist finds the one file of the release, which "make release" has made, that fits a pattern.
func dist(tb testing.TB, pattern string) string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join("../../dist", pattern))
	if err != nil || len(found) != 1 {
		tb.Fatalf("dist/%s: found %q, %v: make release makes it", pattern, found, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// command runs a program of this machine that must succeed, and gives what it says.
func command(tb testing.TB, env []string, name string, args ...string) string {
	tb.Helper()
	return commandIn(tb.Context(), tb, env, name, args...)
}

// commandIn is command with a context of its own.
func commandIn(ctx context.Context, tb testing.TB, env []string, name string, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestRelease_files checks the sums, and that the program says its version.
func TestRelease_files(t *testing.T) {
	text, err := os.ReadFile(dist(t, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 4 {
		t.Errorf("the sums are of %d files, want 4:\n%s", len(lines), text)
	}
	for _, line := range lines {
		want, name, _ := strings.Cut(line, "  ")
		data, err := os.ReadFile(dist(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != want {
			t.Errorf("the sum of %s is %s, not %s", name, got, want)
		}
	}
	program := dist(t, "dynomad-*-linux-amd64")
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(program), "dynomad-"), "-linux-amd64")
	if out := command(t, nil, program, "--version"); !strings.Contains(out, version) {
		t.Errorf("--version says %q, not %s", out, version)
	}
}

// TestRelease_unit has systemd read the unit: it is right, and lets the daemon do little.
func TestRelease_unit(t *testing.T) {
	const unit = "../../tools/release/package/dynomad.service"
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is missing: install systemd (it need not run)")
	}
	dir := t.TempDir()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "dynomad.service")
	program := dist(t, "dynomad-*-linux-amd64") // verify looks whether it is there
	if err := os.WriteFile(own, []byte(strings.ReplaceAll(string(text), "/usr/bin/dynomad", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := command(t, nil, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", own); strings.TrimSpace(out) != "" {
		t.Errorf("systemd says of the unit:\n%s", out)
	}
	t.Log(lastLine(command(t, nil, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", own)))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// readme gives the commands of the README's tour: block 0 uses the API, block 1 the program.
func readme(tb testing.TB, block int) []string {
	tb.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		tb.Fatal(err)
	}
	_, tour, ok := strings.Cut(string(text), "\n## Five minutes\n")
	blocks := strings.Split(tour, "```console\n")
	if !ok || len(blocks) < 3 {
		tb.Fatal("the README has no tour of two blocks")
	}
	body, _, _ := strings.Cut(blocks[block+1], "```")
	var lines []string
	for _, line := range strings.Split(body, "\n") {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			lines = append(lines, c)
		}
	}
	return lines
}

// apiTour makes a script of the README's first tour. A step that must come to an end by itself, or has to wait for what the one
// before it began, is bounded.
func (d *daemon) apiTour(tokenFile string) string {
	d.tb.Helper()
	lines := []string{"set -eo pipefail"}
	for _, line := range readme(d.tb, 0) {
		line = strings.NewReplacer("…/root-token", tokenFile, "localhost:5000", strings.TrimPrefix(d.url, "http://"),
			"localhost:8080", d.cluster.RouterAddr(), "curl -s ", "curl -sS --fail-with-body ").Replace(line)
		switch {
		case strings.Contains(line, "/logs?tail=1"):
			line = strings.Replace(line, "api -N", "api -N --max-time 3", 1)
			code, _, _ := strings.Cut(line, " #")
			line = strings.TrimSpace(code) + " || [ $? = 28 ]"
		case strings.Contains(line, "Host:"):
			line = "until " + line + "; do sleep 0.3; done"
		}
		lines = append(lines, "echo '+ "+strings.ReplaceAll(line, "'", "")+"'", line, "echo")
	}
	return strings.Join(lines, "\n")
}

// programTour makes a script of the README's second tour.
func (d *daemon) programTour(tokenFile string) string {
	d.tb.Helper()
	lines := []string{"set -ex"}
	for _, line := range readme(d.tb, 1) {
		lines = append(lines, strings.NewReplacer("bin/dynomad", "dynomad", "…/root-token", tokenFile, "http://localhost:5000", d.url).Replace(line))
	}
	return strings.Join(lines, "\n")
}

// gone waits until nothing of an app is left.
func (d *daemon) gone(app string) {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(d.tb.Context(), time.Minute)
	defer cancel()
	d.waitGone(ctx, app)
}

// settings writes variables as lines of an environment file.
func settings(env []string) string { return strings.Join(env, "\n") + "\n" }

// clusterAddrs are the variables by which a daemon finds a cluster.
func clusterAddrs(tb testing.TB, cluster *nomadtest.Cluster) []string {
	tb.Helper()
	env := []string{"NOMAD_ADDR=http://" + cluster.NomadAddr(), "CONSUL_HTTP_ADDR=" + cluster.ConsulAddr()}
	if guarded() {
		env = append(env, grant(tb, cluster)...)
	}
	return env
}
