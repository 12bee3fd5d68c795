//go:build integration

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// clockVar names the file that has the seconds by which the clock of a daemon with a steppable clock is set.
const clockVar = "DYNOMAD_TEST_CLOCK"

// stepSource is added to package time. It moves the clock on the wall and leaves the monotonic one, as clock_settime(2) does.
const stepSource = `package time

import "syscall"

func Now() Time {
	t := trueNow()
	path, set := syscall.Getenv("` + clockVar + `")
	if !set {
		return t
	}
	fd, err := open(path)
	if err != nil {
		return t
	}
	buf := make([]byte, 32)
	n, _ := read(fd, buf)
	closefd(fd)
	var seconds, sign Duration = 0, 1
	for _, c := range buf[:max(n, 0)] {
		switch {
		case c == '-':
			sign = -1
		case '0' <= c && c <= '9':
			seconds = 10*seconds + Duration(c-'0')
		}
	}
	mono := t.mono()
	t.stripMono()
	t = t.Add(sign * seconds * Second)
	t.setMono(mono)
	return t
}
`

// steppable builds the daemon on a package time whose clock can be set. The machine's clock is everybody's; time namespaces leave the clock
// on the wall alone; and a library that stands in for libc's clock (libfaketime) is not asked by Go, which reads the kernel's page.
func steppable(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	out, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	replace := map[string]string{filepath.Join(src, "zz_step.go"): filepath.Join(dir, "step.go")}
	err = os.WriteFile(filepath.Join(dir, "step.go"), []byte(stepSource), 0o600)
	for file, change := range map[string][2]string{
		"time.go":  {"\nfunc Now() Time {", "\nfunc trueNow() Time {"},
		"sleep.go": {"Now().Add(Duration(-delta))", "trueNow().Add(Duration(-delta))"}, // timers' functions must not block
	} {
		text, readErr := os.ReadFile(filepath.Join(src, file))
		if strings.Count(string(text), change[0]) != 1 {
			readErr = errors.Join(readErr, fmt.Errorf("%s is not as it was: %q", file, change[0]))
		}
		changed := strings.Replace(string(text), change[0], change[1], 1)
		changed = strings.Replace(changed, "//go:linkname Now\n", "", 1)
		replace[filepath.Join(src, file)] = filepath.Join(dir, file)
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(dir, file), []byte(changed), 0o600))
	}
	text, jsonErr := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	if err = errors.Join(err, jsonErr, os.WriteFile(overlay, text, 0o600)); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "dynomad")
	if out, err := exec.CommandContext(tb.Context(), "go", "build", "-overlay", overlay, "-o", path, ".").CombinedOutput(); err != nil {
		tb.Fatalf("building the daemon: %v\n%s", err, out)
	}
	return path
}

// TestCluster_clock sets the daemon's clock three hours forward and back, while a type has a run every minute and a release rolls out. Minutes
// that are left out are not made up for, none is run twice, no rollout fails of it, and the lock, the picture and tokens go by the new time.
func TestCluster_clock(t *testing.T) {
	t.Parallel()
	if guarded() || !soak() {
		t.Skip("a part of make chaos")
	}
	cluster := shared.Cluster(t)
	clock := filepath.Join(t.TempDir(), "clock")
	set := func(seconds int) {
		if err := os.WriteFile(clock+".new", []byte(strconv.Itoa(seconds)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(clock+".new", clock); err != nil {
			t.Fatal(err)
		}
	}
	set(0)
	d := startProgram(t, cluster, steppable(t), append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=8s", clockVar+"="+clock)...)
	app := d.oneOffApp("stepped")
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"tick","schedule":"* * * * *","size":"gp1","command":"sh -c 'exit 4'"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps", `{"name":"rolling"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/rolling-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease("rolling-default", 1, "succeeded")
	var made struct {
		AccessToken struct{ Token string } `json:"access_token"`
	}
	d.do(http.MethodPost, "/oauth/authorizations", `{"scope":["read"],"expires_in":3600}`, http.StatusCreated, &made)
	short := *d
	short.token = made.AccessToken.Token
	short.do(http.MethodGet, "/apps", "", http.StatusOK, nil)
	before := len(d.waitSlots(app, 90*time.Second, 1))

	n := served{d, "rolling-default"}
	const step = 3 * 3600
	for i, at := range []int{step, 0} {
		n.rollOut(2 + i)
		set(at)
		n.waitRelease(n.app, 2+i, "succeeded")
		n.right(rightWithin)
		d.clockIs(time.Now().Add(time.Duration(at) * time.Second))
		short.do(http.MethodGet, "/apps", "", map[int]int{0: http.StatusOK, step: http.StatusUnauthorized}[at], nil)
		nomadtest.Eventually(t, 20*time.Second, d.ready) // the lock is renewed
		slots := d.waitSlots(app, 2*time.Minute, before+1)
		if err := minutesDiffer(slots, before); err != nil {
			t.Error(err)
		}
		before = min(len(slots), 5-1) // five are shown
	}
	var audits []struct{ Action string }
	d.do(http.MethodGet, "/apps/"+app+"/audits", "", http.StatusOK, &audits)
	told := map[string]int{}
	for _, a := range audits {
		told[a.Action]++
	}
	if told["schedule.missed"] != 1 || told["schedule.clock"] != 1 {
		t.Errorf("the audits tell of %v, want one of missed minutes and one of a clock that was set back", told)
	}
}

// minutesDiffer wants runs to be of different minutes, and few: what a step left out is not made up for.
func minutesDiffer(slots []slot, before int) error {
	ran := map[time.Time]bool{}
	for _, s := range slots {
		if ran[s.ScheduledAt] {
			return fmt.Errorf("the minute %s was run twice", s.ScheduledAt)
		}
		ran[s.ScheduledAt] = true
	}
	if len(slots) > before+3 {
		return fmt.Errorf("there are %d runs, and were %d before the clock was set", len(slots), before)
	}
	return nil
}

// clockIs wants the daemon to believe that it is about a time.
func (d *daemon) clockIs(want time.Time) {
	d.tb.Helper()
	var app struct {
		CreatedAt time.Time `json:"created_at"`
	}
	d.do(http.MethodPost, "/apps", `{"name":"now"}`, http.StatusCreated, &app)
	d.do(http.MethodDelete, "/apps/now-default", "", http.StatusOK, nil)
	if err := clockDiffers(app.CreatedAt, want); err != nil {
		d.tb.Error(err)
	}
}

func clockDiffers(got, want time.Time) error {
	if got.Sub(want).Abs() > time.Minute {
		return fmt.Errorf("the daemon's clock says %s, want about %s", got, want)
	}
	return nil
}
