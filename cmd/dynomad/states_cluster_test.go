//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// Settings of TestState. The minimum healthy time is longer than its apps that crash at once are up on a busy machine,
// the grace longer than such a machine takes to start a dyno that does well.
const (
	stateHealthy  = 10 * time.Second
	stateDrain    = 5 * time.Second
	stateGrace    = 5 * time.Second
	stateInterval = time.Second // of checks

	lookOn = 3 * time.Second // a state must be steady
)

// stateSizes has a size that is larger than any node.
const stateSizes = `
size "gp1" {
  cpu    = 50
  memory = 256
}
size "gp2" {
  cpu        = 50
  memory     = 256
  memory_max = 512
}
size "huge" {
  cpu    = 50
  memory = 9000000
}
`

// stage is what a state's test works with: a daemon, and the app that it is about.
type stage struct {
	*daemon
	*diary
	registry *stalledRegistry
}

// stateCase is an app that brings its dyno into a state. Its name is the test's too.
type stateCase struct {
	app   string
	image string // "" is the sample app's
	dyno  string // the dyno type
	test  func(*testing.T, stage)
}

// TestState brings a dyno into each of the documented states, all on one daemon and at the same time, and looks at them every
// 50 ms from their first instant.
func TestState(t *testing.T) {
	// not in parallel: its parts would wait for their turn among all other tests, with dynos that crash without end until then
	d := startDaemon(t, append(quick(), "DYNOMAD_SIZES="+stateSizesFile(t), "DYNOMAD_MIN_HEALTHY_TIME="+stateHealthy.String(), "DYNOMAD_DEPLOY_TIMEOUT=10m",
		"DYNOMAD_DRAIN="+stateDrain.String(), "DYNOMAD_START_GRACE="+stateGrace.String())...)
	t.Cleanup(d.deleteAll)
	registry := newStalledRegistry(t)
	hello, busybox := d.cluster.Image(t, "hello"), d.cluster.Image(t, "busybox")
	cases := []stateCase{
		// These do something, and take long.
		{"ended", hello, `{"type":"worker","command":"/app worker"}`, testEnded},
		{"drained", hello, `{"type":"web"}`, testStopping},
		{"sick", hello, `{"type":"web","healthcheck":"/health"}`, testSickAndWell},
		{"pulling", registry.image(), `{"type":"web"}`, testPulling},
		{"huge", hello, `{"type":"web","size":"huge"}`, testNoRoom},
		// The others mostly read in their diaries.
		{"noimage", "dynomad.local/absent:1", `{"type":"web"}`, testImageMissing},
		{"nocommand", hello, `{"type":"worker","command":"/nonexistent --flag"}`, testCommandMissing},
		{"notnow", busybox, `{"type":"worker","command":"sh -c 'sleep 12; exit 127'"}`, testNotFoundLater},
		{"exit3", hello, `{"type":"worker","command":"/app crash 3"}`, testCrash},
		{"relapse", busybox, `{"type":"worker","command":"sh -c 'test -e /local/ran && exit 3; touch /local/ran; sleep 15; exit 3'"}`, testRelapse},
		{"oom", hello, `{"type":"worker","command":"/app oom","size":"gp1"}`, testOutOfMemory},
		{"silent", hello, `{"type":"web","command":"/app silent"}`, testNeverListens},
		{"fine", hello, `{"type":"web"}`, testRunning},
		{"busy", hello, `{"type":"worker","command":"/app worker"}`, testWorkerRunning},
	}
	diaries := make([]*diary, len(cases))
	for i, c := range cases {
		diaries[i] = d.follow(c.app + "-default")
		d.do(http.MethodPost, "/apps", `{"name":"`+c.app+`"}`, http.StatusCreated, nil)
		d.do(http.MethodPost, "/apps/"+c.app+"-default/formation", c.dyno, http.StatusOK, nil)
		if c.image != registry.image() { // that one is deployed when it is looked at: Nomad gives a pull up after 5 minutes
			d.do(http.MethodPost, "/apps/"+c.app+"-default/builds", `{"url":"`+c.image+`"}`, http.StatusCreated, nil)
		}
	}
	t.Run("dynos", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.app, func(t *testing.T) {
				t.Parallel()
				mine := *d
				mine.tb = t
				c.test(t, stage{daemon: &mine, diary: diaries[i], registry: registry})
			})
		}
	})
	t.Run("gone", func(t *testing.T) { // after the others: till then much of its minute is over
		testGone(t, stage{daemon: d, diary: diaries[0]})
	})
}

// stateSizesFile writes stateSizes to a file.
func stateSizesFile(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "sizes.hcl")
	if err := os.WriteFile(path, []byte(stateSizes), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// waitNotice waits until a dyno type's additional_info begins as given ("" is that it has none), and gives it.
func (d *daemon) waitNotice(app, dynoType, begin string) string {
	d.tb.Helper()
	var got struct {
		AdditionalInfo string `json:"additional_info"`
	}
	nomadtest.Eventually(d.tb, time.Minute, func(context.Context) error {
		d.do(http.MethodGet, "/apps/"+app+"/formation/"+dynoType, "", http.StatusOK, &got)
		if !strings.HasPrefix(got.AdditionalInfo, begin) || (begin == "") != (got.AdditionalInfo == "") {
			return fmt.Errorf("%s of %s says %q", dynoType, app, got.AdditionalInfo)
		}
		return nil
	})
	return got.AdditionalInfo
}

// deleteAll deletes all apps at once, which is quicker than one after the other, and waits until they are gone.
func (d *daemon) deleteAll() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	apps := d.names(ctx)
	for _, app := range apps {
		_, _, _ = d.try(ctx, http.MethodDelete, "/apps/"+app, "") // what is left is reported
	}
	for _, app := range apps {
		d.waitGone(ctx, app)
	}
}

// givenUp waits until a dyno was restarted twice, which is all that Nomad tries, and looks on for a while.
func (s stage) givenUp(t *testing.T, id string) sighting {
	t.Helper()
	last := s.saw(t, time.Minute, "restarted twice", func(y sighting) bool { return y.ID == id && y.Restarts >= 2 })
	s.lookOn(t, last, lookOn)
	return last
}

func testImageMissing(t *testing.T, s stage) {
	first := s.saw(t, time.Minute, "that cannot start", is("start-failure", "dynomad.local/absent:1"))
	s.givenUp(t, first.ID)
	s.doomed(t, first.ID, "pending", "start-failure")
}

func testCommandMissing(t *testing.T, s stage) {
	const said = "command not found in the image dynomad.local/hello:1: /nonexistent --flag"
	first := s.saw(t, time.Minute, "that cannot start", is("start-failure", said))
	last := s.givenUp(t, first.ID)
	s.doomed(t, first.ID, "pending", "running ready", "start-failure")
	if last.ExitCode == nil || *last.ExitCode != 127 {
		t.Errorf("got %+v, want exit code 127", last)
	}
}

// testNotFoundLater has an app that says itself, after a while, what init says of a missing command.
func testNotFoundLater(t *testing.T, s stage) {
	first := s.saw(t, time.Minute, "that crashed", is("app-crashed", "exit code 127"))
	s.lookOn(t, first, lookOn)
	// It is up for longer than the minimum healthy time, each of the three times that Nomad starts it.
	once := []string{"running ready", "app-crashed"}
	s.doomed(t, first.ID, slices.Concat([]string{"pending"}, once, once, once)...)
}

// testCrash follows a crash loop: restarted or not, it is one. A dyno is an allocation: the one that the daemon has placed anew, since the
// app has nothing good to go back to, begins as all do.
func testCrash(t *testing.T, s stage) {
	first := s.saw(t, time.Minute, "that crashed", is("app-crashed", "exit code 3"))
	last := s.givenUp(t, first.ID)
	s.doomed(t, first.ID, "pending", "running ready", "app-crashed")
	if last.ExitCode == nil || *last.ExitCode != 3 {
		t.Errorf("got %+v, want exit code 3", last)
	}
	next := s.saw(t, time.Minute, "that crashed in its place", func(y sighting) bool { return y.ID != first.ID && is("app-crashed", "exit code 3")(y) })
	s.lookOn(t, next, lookOn)
	once := []string{"pending", "running ready", "app-crashed"}
	s.relieved(t, first.ID, next.ID, once, once)
}

// testOutOfMemory wants it said outright of one of the three processes at least: Docker does not always learn that it was the memory.
// Of each it must be said what the limit is.
func testOutOfMemory(t *testing.T, s stage) {
	first := s.saw(t, time.Minute, "that was out of memory", is("app-crashed", "It was killed for using more than its limit of 256 MiB of memory"))
	last := s.givenUp(t, first.ID)
	s.doomed(t, first.ID, "pending", "running ready", "app-crashed")
	if last.ExitCode == nil || *last.ExitCode != 137 || !strings.Contains(last.AdditionalInfo, "256 MiB") {
		t.Errorf("got %+v, want exit code 137 for its memory", last)
	}
}

// testNeverListens wants what it comes to that nobody listens, until Consul tells what its check puts out, and that from then on. Consul
// tells it with the check's first registration, if the check has run by then, else 2.5 to 7.5 minutes later (check_update_interval).
func testNeverListens(t *testing.T, s stage) {
	const begin, ours = "Its health check fails: ", "it does not accept connections on port 9000."
	sick := s.saw(t, time.Minute, "that fails its check", is("probe-failure", begin))
	s.lookOn(t, sick, lookOn)
	checks, _, err := s.cluster.ConsulClient().Health().Checks(s.app, nil)
	if err != nil || len(checks) != 1 {
		t.Fatalf("checks of %s: %+v, %v", s.app, checks, err)
	}
	if told := checks[0].Output; told != "" {
		t.Logf("Consul tells: %s", told)
		s.await(t, stateInterval, "of which is told what its check put out", is("probe-failure", begin+told))
	} else if sick.AdditionalInfo != begin+ours { // nor had it told anything then
		t.Errorf("it is said: %s", sick.AdditionalInfo)
	}
	s.told(t, sick.ID, "pending", "running", "probe-failure")
	alloc, _, err := s.cluster.NomadClient().Allocations().Info(sick.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	over := alloc.TaskStates["web"].StartedAt.Add(stateGrace)
	if called := s.when(t, sick.ID, "probe-failure", time.Time{}); called.Before(over) {
		t.Errorf("called a probe-failure at %s, before the grace was over at %s", called, over)
	}
}

func testSickAndWell(t *testing.T, s stage) {
	well := s.await(t, time.Minute, "that is ready", is("running ready", ""))
	address := s.address(t, s.app)
	const soon = 2 * stateInterval // Consul looks after one at most
	turn := func(path, what, info string) {
		t.Helper()
		asked := time.Now()
		if status, body := get(t, "http://"+address+path); status != http.StatusOK {
			t.Fatalf("GET %s: %d %s", path, status, body)
		}
		turned := s.await(t, 30*time.Second, what, is(what, info))
		took := s.when(t, well.ID, what, asked).Sub(asked)
		t.Logf("%s %s after %s", what, took.Round(time.Millisecond), path)
		if took > soon {
			t.Errorf("%s only %s after %s, want at most %s", what, took, path, soon)
		}
		s.lookOn(t, turned, lookOn)
	}
	turn("/health/fail", "probe-failure", "told to be sick")
	turn("/health/ok", "running ready", "")
	s.told(t, well.ID, "pending", "running", "running ready", "probe-failure", "running ready")
}

// testNoRoom waits for a dyno that no node has room for, and makes it small enough.
func testNoRoom(t *testing.T, s stage) {
	unplaced := s.saw(t, time.Minute, "that has no room", is("waiting", "No node has room: memory is exhausted on 1 of 1 nodes."))
	s.lookOn(t, unplaced, lookOn)
	s.told(t, unplaced.ID, "waiting")
	s.do(http.MethodPatch, "/apps/huge-default/formation/web", `{"size":"gp1"}`, http.StatusOK, nil)
	placed := s.await(t, time.Minute, "that is ready", is("running ready", ""))
	s.told(t, placed.ID, "pending", "running", "running ready")
}

// testPulling has a registry that takes its time.
func testPulling(t *testing.T, s stage) {
	image := s.registry.image()
	s.do(http.MethodPost, "/apps/"+s.app+"/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	pulling := s.saw(t, time.Minute, "that pulls its image", is("pending", "Its node downloads the image "+image))
	s.lookOn(t, pulling, lookOn)
	s.told(t, pulling.ID, "pending")
	if got := s.herokuDyno(t, s.app, pulling.ID); got.State != "starting" {
		t.Errorf("Heroku's clients see %+v, want it starting", got)
	}
	s.registry.close()
	failed := s.await(t, time.Minute, "that cannot start", is("start-failure", image))
	s.lookOn(t, failed, lookOn)
	s.told(t, pulling.ID, "pending", "start-failure")
}

// testStopping scales to none, and sees the dyno drain. Heroku's clients do not see it any more.
func testStopping(t *testing.T, s stage) {
	up := s.await(t, time.Minute, "that is ready", is("running ready", ""))
	s.do(http.MethodPatch, "/apps/drained-default/formation/web", `{"quantity":0}`, http.StatusOK, nil)
	s.await(t, time.Minute, "that stops", is("stopping", "It is no longer wanted."))
	if list := s.herokuDynos(t, s.app); len(list) != 0 {
		t.Errorf("Heroku's clients see %+v", list)
	}
	ended := s.await(t, time.Minute, "that has stopped", is("stopped", ""))
	s.lookOn(t, ended, lookOn)
	s.told(t, up.ID, "pending", "running", "running ready", "stopping", "stopped")
	stopping := s.when(t, up.ID, "stopping", time.Time{})
	if took := s.when(t, up.ID, "stopped", stopping).Sub(stopping); took < stateDrain-time.Second {
		t.Errorf("it took %s to stop, want at least the drain of %s: %+v", took, stateDrain, ended)
	}
	if list := s.herokuDynos(t, s.app); len(list) != 0 {
		t.Errorf("Heroku's clients see %+v", list)
	}
	if got := s.herokuDyno(t, s.app, up.ID); got.State != "down" {
		t.Errorf("Heroku's clients see %+v, want it down", got)
	}
}

func testRunning(t *testing.T, s stage) {
	up := s.saw(t, time.Minute, "that is ready", is("running ready", ""))
	s.lookOn(t, up, lookOn)
	s.told(t, up.ID, "pending", "running", "running ready")
	if up.AdditionalInfo != "" || up.ExitCode != nil || up.Restarts != 0 {
		t.Errorf("of a dyno that does well is said %+v", up)
	}
	if list := s.herokuDynos(t, s.app); len(list) != 1 || list[0].State != "up" || list[0].Name != "web.1" || list[0].ID != up.ID {
		t.Errorf("Heroku's clients see %+v, want web.1 up", list)
	}
}

func testWorkerRunning(t *testing.T, s stage) {
	up := s.saw(t, time.Minute, "that runs", is("running ready", ""))
	s.lookOn(t, up, lookOn)
	s.told(t, up.ID, "pending", "running ready")
}

// stalledRegistry is a registry that answers nothing but that it is one, until it is closed.
type stalledRegistry struct{ server *httptest.Server }

func newStalledRegistry(tb testing.TB) *stalledRegistry {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusOK)
	}))
	registry := &stalledRegistry{server}
	tb.Cleanup(registry.close)
	return registry
}

// image is one that the registry will never give. Docker takes a registry on a loopback address without TLS.
func (r *stalledRegistry) image() string {
	return strings.TrimPrefix(r.server.URL, "http://") + "/stalled/app:1"
}

func (r *stalledRegistry) close() {
	r.server.CloseClientConnections()
	r.server.Close()
}

// address finds where an app's one web dyno listens.
func (d *daemon) address(tb testing.TB, app string) string {
	tb.Helper()
	entries, _, err := d.cluster.ConsulClient().Health().Service(app, "", false, nil)
	if err != nil || len(entries) != 1 {
		tb.Fatalf("instances of %s: %+v, %v", app, entries, err)
	}
	return fmt.Sprintf("%s:%d", entries[0].Service.Address, entries[0].Service.Port)
}
