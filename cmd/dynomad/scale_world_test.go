package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
	"github.com/dynomad/dynomad/store"
)

// serveFlag is the environment variable that has this program be the daemon, with the settings of the environment; see startHere.
// profileFlag is that of a folder for profiles of a benchmark's daemon.
const (
	serveFlag   = "DYNOMAD_TEST_SERVE"
	profileFlag = "DYNOMAD_TEST_PROFILE"
)

// scale is a daemon on a simulated cluster, with as many apps as wanted, all of which run as they should.
type scale struct {
	tb      testing.TB
	sim     *nomadtest.Sim
	apps    []string // full names
	dynos   int      // of each app
	dir     string
	addr    string
	token   string
	env     []string
	process *nomadtest.Process
}

// newScale prepares a data folder and a cluster as a daemon leaves them behind that has nothing to do. Each app has as many web
// dynos, with a check, as workers.
func newScale(tb testing.TB, apps, dynos int) *scale {
	tb.Helper()
	sim := nomadtest.NewSim()
	tb.Cleanup(sim.Close)
	s := &scale{tb: tb, sim: sim, dynos: dynos, dir: tb.TempDir(), addr: nomadtest.FreeAddr(tb), token: "root-token-of-the-test"}
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir,
		"NOMAD_ADDR=" + sim.NomadURL(), "CONSUL_HTTP_ADDR=" + sim.ConsulURL(),
		"DYNOMAD_LISTEN=" + s.addr, "DYNOMAD_DATA_DIR=" + filepath.Join(s.dir, "data"), "DYNOMAD_ROOT_TOKEN=" + s.token,
	}
	start := time.Now()
	s.fill(apps)
	sim.Warm()
	tb.Logf("%d apps with %d dynos each were prepared in %s", apps, dynos, time.Since(start).Round(time.Millisecond))
	return s
}

// fill writes the apps to the store and to the cluster. The store is made in memory: on a disk each of its commits would wait for that.
func (s *scale) fill(apps int) {
	s.tb.Helper()
	ctx := context.Background()
	memory, err := os.MkdirTemp("/dev/shm", "dynomad-scale-")
	if err != nil {
		memory = s.tb.TempDir()
	}
	defer os.RemoveAll(memory) //nolint:errcheck // it goes with the machine
	key, err := store.LoadKey(filepath.Join(memory, keyFile))
	if err != nil {
		s.tb.Fatal(err)
	}
	st, err := store.Open(ctx, store.Config{Path: filepath.Join(memory, databaseFile), Key: key, Now: time.Now})
	if err != nil {
		s.tb.Fatal(err)
	}
	installation, err := st.Installation(ctx)
	if err != nil {
		s.tb.Fatal(err)
	}
	settings := s.settings(installation)
	for i := range apps {
		if err := s.addApp(ctx, st, settings, i); err != nil {
			s.tb.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		s.tb.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(s.dir, "data"), os.DirFS(memory)); err != nil {
		s.tb.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(s.dir, "data", keyFile), 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

// settings are those by which the daemon renders jobs.
func (s *scale) settings(installation string) jobs.Settings {
	s.tb.Helper()
	getenv := func(name string) string {
		for _, pair := range s.env {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
	config := defaultConfig()
	config.Listen = s.addr
	if err := config.finish(getenv); err != nil {
		s.tb.Fatal(err)
	}
	return config.jobSettings(installation, "default", nomad.Facts{Oversubscription: true})
}

// addApp adds an app that was deployed, whose rollout has ended well.
func (s *scale) addApp(ctx context.Context, st *store.Store, settings jobs.Settings, number int) error {
	simple := fmt.Sprintf("app%d", number)
	state := scaleApp(simple, s.dynos)
	input, _ := jobs.InputFor(settings, dynomad.Wanted{AppState: state})
	job, err := jobs.Spec(input)
	if err != nil {
		return err
	}
	path := jobs.ConfigPath(state.App.Name, state.ConfigID)
	if err := s.sim.PutVariable(ctx, "", path, jobs.ConfigItems(state.App, state.Config)); err != nil {
		return err
	}
	s.sim.Put(job)
	s.apps = append(s.apps, state.App.Name)
	audit := dynomad.Audit{ID: uuid.NewString(), Action: "app.create", CreatedAt: now(), Details: "Created " + state.App.Name + "."}
	if err := st.Recover(ctx, settings.Installation, store.RecoveredApp{State: state, Audit: audit}); err != nil {
		return err
	}
	return st.SaveApplied(ctx, state.App.ID, dynomad.AppliedState{
		SpecHash: jobs.Hash(job), ModifyIndex: *s.sim.Spec(state.App.Name).JobModifyIndex, UpdatedAt: now(),
	})
}

func scaleApp(simple string, dynos int) dynomad.AppState {
	appID, command := uuid.NewString(), "bundle exec worker"
	state := dynomad.AppState{
		App: dynomad.App{ID: appID, Name: simple + "-default", SimpleName: simple, Space: "default", AutoRelease: true, CreatedAt: now()},
		Types: []dynomad.DynoType{
			{Type: "web", Quantity: dynos / 2, Size: "gp2", Port: 9000},
			{Type: "worker", Quantity: dynos - dynos/2, Size: "gp2", Command: &command},
		},
		Wanted: &dynomad.Release{Version: 1, ConfigID: uuid.NewString(), Status: dynomad.ReleaseSucceeded, CreatedAt: now(), UpdatedAt: now()},
		Build:  &dynomad.Build{Number: 1, Image: "registry.example.com/team/" + simple + ":1", Status: dynomad.BuildSucceeded},
		Config: dynomad.ConfigVars{"DATABASE_URL": "postgres://db.example.com/" + simple, "SECRET": "kept"},
	}
	state.ConfigID = state.Wanted.ConfigID
	for i, t := range state.Types {
		good := t.Definition()
		state.Types[i].AppID, state.Types[i].Record.Good = appID, &good
	}
	return state
}

// start starts the daemon, a process of its own, and gives how long it took until the app that was made last was shown as it is.
func (s *scale) start(path string, args ...string) time.Duration {
	s.tb.Helper()
	began := time.Now()
	p, err := nomadtest.StartProcess(s.tb.Context(), nomadtest.Command{
		Name: "dynomad", Path: path, Args: args, Env: s.env, Log: filepath.Join(s.dir, "dynomad.log"),
		Ready: func(context.Context) error { return nil },
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.process == nil {
		s.tb.Cleanup(s.stop)
	}
	s.process = p
	last := s.apps[len(s.apps)-1]
	s.await(2*time.Minute, last, func(list []scaleDyno) bool {
		return len(list) == s.dynos && !slices.ContainsFunc(list, func(d scaleDyno) bool { return !d.Ready })
	})
	return time.Since(began)
}

// startHere starts this program as the daemon; startBuilt builds it as it is shipped, unless it is to be profiled.
func (s *scale) startHere(args ...string) time.Duration {
	s.env = append(s.env, serveFlag+"=1")
	return s.start(os.Args[0], append([]string{"-test.run=^TestScaleDaemon$", "-test.timeout=0"}, args...)...)
}

func (s *scale) startBuilt() time.Duration {
	s.tb.Helper()
	if dir := os.Getenv(profileFlag); dir != "" {
		return s.startHere(fmt.Sprintf("-test.cpuprofile=%s/cpu-%d", dir, len(s.apps)), fmt.Sprintf("-test.memprofile=%s/memory-%d", dir, len(s.apps)))
	}
	path := filepath.Join(s.dir, "dynomad")
	if out, err := exec.CommandContext(s.tb.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		s.tb.Fatalf("building the daemon: %v\n%s", err, out)
	}
	return s.start(path, "server")
}

// TestScaleDaemon is the daemon, until it is told to end; see startHere.
func TestScaleDaemon(t *testing.T) {
	if os.Getenv(serveFlag) == "" {
		t.Skip("a part of TestScale")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, []string{"server"}, os.Getenv); err != nil {
		t.Fatal(err)
	}
}

func (s *scale) stop() {
	if err := s.process.Stop(context.Background()); err != nil {
		s.tb.Error(err)
	}
	log, err := os.ReadFile(s.process.LogPath())
	if err != nil || strings.Contains(string(log), "DATA RACE") || strings.Contains(string(log), "panic:") || s.tb.Failed() {
		s.tb.Errorf("the daemon's log (%v):\n%s", err, log[:min(len(log), 20_000)])
	}
}

// scaleDyno is what is looked at of a dyno.
type scaleDyno struct {
	ID, State string
	Ready     bool
	Restarts  int
}

// look asks for the dynos of an app. A list that is not sure to be new is an error.
func (s *scale) look(ctx context.Context, app string) ([]scaleDyno, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/apps/"+app+"/dynos", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%d %s: %w", resp.StatusCode, text, err)
	}
	if resp.Header.Get("Dynomad-Stale") != "" {
		return nil, errors.New("the list is of before")
	}
	var list []scaleDyno
	return list, json.Unmarshal(text, &list)
}

// await looks at an app every other millisecond until its dynos are as wanted, and gives how long that took.
func (s *scale) await(within time.Duration, app string, ok func([]scaleDyno) bool) time.Duration {
	s.tb.Helper()
	began := time.Now()
	for {
		list, err := s.look(s.tb.Context(), app)
		if err == nil && ok(list) {
			return time.Since(began)
		}
		if time.Since(began) > within || !s.process.Running() {
			s.tb.Fatalf("the dynos of %s after %s: %+v, %v", app, within, list, err)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at a condition
	}
}

// crash has a dyno of an app crash, and gives how long it took until it was shown to have.
func (s *scale) crash(app string) time.Duration {
	s.tb.Helper()
	ids := s.sim.AllocIDs("default", app)
	list, err := s.look(s.tb.Context(), app)
	if err != nil {
		s.tb.Fatal(err)
	}
	restarts := map[string]int{}
	for _, d := range list {
		restarts[d.ID] = d.Restarts
	}
	id := ids[rand.N(len(ids))]
	if !s.sim.Crash(id, 1) {
		return 0 // it was just replaced
	}
	return s.await(30*time.Second, app, func(list []scaleDyno) bool {
		i := slices.IndexFunc(list, func(d scaleDyno) bool { return d.ID == id })
		return i < 0 && len(list) > 0 && restarts[id] > 0 || i >= 0 && list[i].Restarts > restarts[id]
	})
}

// churn makes changes of allocations, so many a second, until ctx ends, and gives how many there were: three of five are crashes, the
// others have an allocation replaced by another.
func (s *scale) churn(ctx context.Context, perSecond int) int {
	const step = 20 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	began, made := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return made
		case <-tick.C:
		}
		for made < int(time.Since(began).Seconds()*float64(perSecond)) {
			ids := s.sim.AllocIDs("default", s.apps[rand.N(len(s.apps))])
			if id := ids[rand.N(len(ids))]; made%5 < 3 {
				s.sim.Crash(id, 1)
				made++
			} else {
				_ = s.sim.StopAlloc(ctx, "", id) // cut off at the end
				made += 2
			}
		}
	}
}

// load has so many clients ask for the dynos of apps in a random order for a while, each over a connection that it keeps.
func (s *scale) load(clients int, over time.Duration) reading {
	s.tb.Helper()
	r, err := hammer(s.tb.Context(), clients, over, func() target {
		return target{addr: s.addr, path: "/apps/" + s.apps[rand.N(len(s.apps))] + "/dynos", token: s.token}
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	return r
}

// resident reads how much memory the daemon has now, and the most that it ever had, in bytes (proc(5), /proc/pid/status).
func (s *scale) resident() (now, most float64) {
	s.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.PID()))
	if err != nil {
		s.tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64) // of the two lines below it is a number
		switch fields[0] {
		case "VmRSS:":
			now = kib * 1024
		case "VmHWM:":
			most = kib * 1024
		}
	}
	return now, most
}

// processor reads how much time on a processor the daemon has had (proc(5), /proc/pid/stat; a hundredth of a second is the unit).
func (s *scale) processor() time.Duration {
	s.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.PID()))
	if err != nil {
		s.tb.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	user, _ := strconv.Atoi(fields[11]) // the fields are numbers
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
