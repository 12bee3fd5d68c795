//go:build integration && release

package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// debian is a small Debian below a folder. Its programs run in mount namespaces of their own, so that nothing is mounted when
// they have ended; the network is this machine's.
type debian struct {
	tb   testing.TB
	root string
}

// installDebian makes a Debian of this machine's release, without systemd running in it.
func installDebian(tb testing.TB) debian {
	tb.Helper()
	for _, program := range []string{"debootstrap", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			tb.Fatalf("%s is missing: install it (make test-release does on Debian, as root)", program)
		}
	}
	if os.Geteuid() != 0 {
		tb.Fatal("only root can make a Debian of its own")
	}
	dir, err := os.MkdirTemp("", "dynomad-debian-") //nolint:usetesting // removed below, when nothing is mounted in it
	if err != nil {
		tb.Fatal(err)
	}
	b := debian{tb: tb, root: filepath.Join(dir, "root")}
	tb.Cleanup(func() {
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil || bytes.Contains(mounts, []byte(dir)) {
			tb.Errorf("something is still mounted below %s, which is left: %v", dir, err)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	start := time.Now()
	command(tb, nil, "unshare", "--mount", "debootstrap", "--variant=minbase", "bookworm", b.root) // from the mirror that debootstrap knows
	tb.Logf("a Debian in %s", time.Since(start).Round(time.Second))
	if err := os.Chmod(dir, 0o755); err != nil { // others than root must get through
		tb.Fatal(err)
	}
	return b
}

// inside runs a script in the Debian.
func (b debian) inside(script string) (string, error) {
	ctx, cancel := context.WithTimeout(b.tb.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", `mount -t proc proc "$0/proc" && exec chroot "$0" bash -c "$1"`, b.root, script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is inside for a script that must succeed.
func (b debian) must(script string) string {
	b.tb.Helper()
	out, err := b.inside(script)
	if err != nil {
		b.tb.Fatalf("in Debian: %s\n%v\n%s", script, err, out)
	}
	return strings.TrimSpace(out)
}

// wants compares what a script says.
func (b debian) wants(script, want string) {
	b.tb.Helper()
	if got := b.must(script); got != want {
		b.tb.Errorf("%s\ngot  %q\nwant %q", script, got, want)
	}
}

// TestRelease_package installs the package in a Debian, starts the daemon as systemd would, takes the README's tour with it, and
// upgrades, removes and purges it.
func TestRelease_package(t *testing.T) {
	cluster := shared.Cluster(t)
	cluster.Image(t, "hello")
	b := installDebian(t)
	b.install(dist(t, "dynomad_*_amd64.deb"))
	b.checkInstalled()

	addr := nomadtest.FreeAddr(t)
	b.configure(append(append(clusterAddrs(t, cluster), quick()...), "DYNOMAD_LISTEN="+addr))
	d := b.start(cluster, "http://"+addr)
	token := filepath.Join(b.root, "var/lib/dynomad/root-token")
	t.Logf("the tour of the API:\n%s", command(t, nil, "bash", "-c", d.apiTour(token)))
	d.gone("web1-default")
	tour := b.must(d.programTour("/var/lib/dynomad/root-token"))
	t.Logf("the tour of the program:\n%s", tour)
	if !strings.Contains(tour, "v1 has succeeded.") {
		t.Error("the tour's deploy did not succeed")
	}
	d.gone("web1-default")
	d.do(http.MethodPost, "/apps", `{"name":"kept"}`, http.StatusCreated, nil)

	before := b.must("cat /etc/dynomad/dynomad.env")
	b.install(dist(t, "dynomad_*_amd64.deb")) // as an upgrade does, beside the daemon that runs
	b.wants("stat -c '%a %U %G' /etc/dynomad/dynomad.env", "640 root dynomad")
	b.wants("cat /etc/dynomad/dynomad.env", before)
	if err := d.process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodGet, "/apps/kept-default", "", http.StatusOK, nil)
	t.Log(b.must("dynomad backup --data-dir /var/lib/dynomad /root/backup.db && stat -c '%a %U' /root/backup.db"))
	if err := d.process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.remove()
}

func (b debian) install(file string) {
	b.tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		b.tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.root, "root/dynomad.deb"), data, 0o600); err != nil {
		b.tb.Fatal(err)
	}
	b.tb.Logf("dpkg -i:\n%s", b.must("dpkg -i /root/dynomad.deb"))
}

// checkInstalled looks at what the package has made.
func (b debian) checkInstalled() {
	b.tb.Helper()
	b.wants("dpkg-query -W -f '${Status}' dynomad", "install ok installed")
	b.wants("dpkg --verify dynomad", "")
	b.wants("stat -c '%a %U %G' /usr/bin/dynomad /etc/dynomad/dynomad.env /var/lib/dynomad",
		"755 root root\n640 root dynomad\n700 dynomad dynomad")
	b.wants("getent passwd dynomad | cut -d: -f6,7", "/var/lib/dynomad:/usr/sbin/nologin")
	b.wants("dpkg-query -W -f '${Conffiles}' dynomad | cut -d' ' -f2", "/etc/dynomad/dynomad.env")
	b.must("bash -n /usr/share/bash-completion/completions/dynomad")
	b.must("gzip -dc /usr/share/man/man1/dynomad-server.1.gz | grep -q app-domain")
	b.must("test -s /usr/share/zsh/vendor-completions/_dynomad -a -s /usr/share/fish/vendor_completions.d/dynomad.fish")
	b.must("test -s /usr/share/doc/dynomad/docs/install.md -a -s /usr/share/doc/dynomad/docs/policies/nomad-daemon.hcl")
	if size := b.must("stat -c %s /usr/lib/systemd/system/dynomad.service"); size == "0" {
		b.tb.Error("the unit is empty")
	}
}

// configure sets variables in the settings, as an administrator would.
func (b debian) configure(env []string) {
	b.tb.Helper()
	path := filepath.Join(b.root, "etc/dynomad/dynomad.env")
	text, err := os.ReadFile(path)
	if err != nil {
		b.tb.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, "=")
		set := false
		for _, v := range env {
			set = set || strings.HasPrefix(v, name+"=")
		}
		if !set {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(kept, "")+settings(env)), 0o640); err != nil { // keeps owner and mode
		b.tb.Fatal(err)
	}
}

// unit reads a directive of the unit that is there once.
func (b debian) unit(name string) string {
	b.tb.Helper()
	text, err := os.ReadFile(filepath.Join(b.root, "usr/lib/systemd/system/dynomad.service"))
	if err != nil {
		b.tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	b.tb.Fatalf("the unit has no %s", name)
	return ""
}

// asUnit starts a command as the unit says: its user, no capabilities, no new privileges, nothing writable but its folder and /tmp.
const asUnit = `set -e
root=$0 user=$1
shift
mount --bind "$root" "$root"
mount --bind "$root/var/lib/dynomad" "$root/var/lib/dynomad"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`

// start starts the daemon by the unit's ExecStart, with the unit's environment, as the unit's user.
func (b debian) start(cluster *nomadtest.Cluster, url string) *daemon {
	b.tb.Helper()
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", b.unit("Environment")}
	text, err := os.ReadFile(filepath.Join(b.root, b.unit("EnvironmentFile")))
	if err != nil {
		b.tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, line)
		}
	}
	d := &daemon{tb: b.tb, cluster: cluster, url: url, dir: b.root}
	args := append([]string{"--mount", "sh", "-c", asUnit, b.root, b.unit("User")}, strings.Fields(b.unit("ExecStart"))...)
	d.process, err = nomadtest.StartProcess(b.tb.Context(), nomadtest.Command{
		Name: "dynomad", Path: "unshare", Args: args, Env: env, Log: filepath.Join(b.tb.TempDir(), "dynomad.log"),
		Ready: func(ctx context.Context) error {
			token, err := os.ReadFile(filepath.Join(b.root, "var/lib/dynomad/root-token"))
			if err != nil {
				return err
			}
			d.token = strings.TrimSpace(string(token))
			return d.ready(ctx)
		},
	})
	if err != nil {
		b.tb.Fatal(err)
	}
	b.tb.Cleanup(d.end)
	b.checkProcess()
	return d
}

// checkProcess looks whether the daemon runs as it should.
func (b debian) checkProcess() {
	b.tb.Helper()
	pids := strings.Fields(command(b.tb, nil, "pgrep", "-f", "^/usr/bin/dynomad server$"))
	id := b.must("id -u dynomad")
	for _, pid := range pids {
		status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
		if err != nil || !bytes.Contains(status, []byte("Uid:\t"+id+"\t")) {
			continue
		}
		for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !bytes.Contains(status, []byte(want)) {
				b.tb.Errorf("the daemon's status lacks %q:\n%s", want, status)
			}
		}
		return
	}
	b.tb.Errorf("none of the processes %v is the unit's user's", pids)
}

// remove takes the package away: the records stay.
func (b debian) remove() {
	b.tb.Helper()
	b.must("dpkg -r dynomad && test ! -e /usr/bin/dynomad && test -e /etc/dynomad/dynomad.env && test -e /var/lib/dynomad/dynomad.db")
	said := b.must("dpkg -P dynomad && test ! -e /etc/dynomad && test -e /var/lib/dynomad/secret.key")
	if !strings.Contains(said, "/var/lib/dynomad is kept") {
		b.tb.Errorf("purging says nothing of the records that it keeps:\n%s", said)
	}
}
