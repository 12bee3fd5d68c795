package apitest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/store"
)

// What an image's name has in it decides how its dynos fare; every other one runs.
const (
	Crashing = "crash" // its dynos end with exit code 3, and the release fails
	Endless  = "slow"  // its dynos stay pending, and the release with them, until End
)

// Cluster runs what is wanted at once, and ends rollouts as the loop would.
type Cluster struct {
	tb    testing.TB
	store *store.Store
	now   func() time.Time
	id    func() string

	mu      sync.Mutex
	ended   bool // what was endless has ended well
	scripts []string
}

// End lets the releases that are endless succeed.
func (c *Cluster) End(app string) {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	state, err := c.store.AppState(context.Background(), app)
	if err != nil {
		c.tb.Error(err)
	}
	c.Wake(context.Background(), state.App.ID)
}

// Scripts are what was run in dynos: "web.1: kill -15 -1".
func (c *Cluster) Scripts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.scripts...)
}

// fate is what becomes of an image's dynos.
func (c *Cluster) fate(image string) dynomad.DynoState {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case strings.Contains(image, Crashing):
		return dynomad.StateAppCrashed
	case strings.Contains(image, Endless) && !c.ended:
		return dynomad.StatePending
	}
	return dynomad.StateRunning
}

// Dynos gives the dynos of every type that is kept up.
func (c *Cluster) Dynos(state dynomad.AppState, now time.Time) dynomad.DynoPicture {
	dynos := c.runs(state)
	if state.Last == nil || state.Build == nil || state.App.Maintenance {
		return dynomad.DynoPicture{Dynos: dynos, Until: now}
	}
	build := *state.Build
	if b, err := c.store.Build(context.Background(), state.App.ID, state.Last.BuildID); err == nil {
		build = b // of the newest release, which Build leaves out if it failed
	}
	for _, t := range state.Types {
		for n := 1; n <= t.Quantity && !t.OneOff; n++ {
			dynos = append(dynos, c.dyno(state, build, t, n, now))
		}
	}
	return dynomad.DynoPicture{Dynos: dynos, Until: now}
}

// runs gives the dynos of runs, which run until they are ended.
func (c *Cluster) runs(state dynomad.AppState) []dynomad.Dyno {
	var dynos []dynomad.Dyno
	for _, r := range state.Runs {
		d := r.Dyno(state.App)
		if r.Ended == nil && r.StopReason == "" {
			d.State, d.AdditionalInfo, d.AllocID, d.Node = dynomad.StateRunning, "", "allocation-1", "node-1"
		}
		dynos = append(dynos, d)
	}
	return dynos
}

func (c *Cluster) dyno(state dynomad.AppState, build dynomad.Build, t dynomad.DynoType, n int, now time.Time) dynomad.Dyno {
	command := ""
	if t.Command != nil {
		command = *t.Command
	}
	// A dyno is another one with another release or definition, or after a restart.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %d %s %q %s", state.App.ID, t.Type, n, state.Last.Version, t.Size, command, t.RestartID))
	fate := c.fate(build.Image)
	d := dynomad.Dyno{
		ID:   fmt.Sprintf("%x-%x-4%x-8%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])[:36],
		Name: fmt.Sprintf("%010d-%x", 1000000000+state.Last.Version, sum)[:16], TypeN: fmt.Sprintf("%s.%d", t.Type, n),
		AppID: state.App.ID, AppName: state.App.Name, Type: t.Type, Command: t.Command, Size: t.Size,
		ReleaseID: state.Last.ID, ReleaseVersion: state.Last.Version, State: fate, Ready: fate == dynomad.StateRunning,
		Node: "node-1", NomadURL: "http://nomad.example/ui/allocations/1", CreatedAt: now.Add(-90 * time.Second), UpdatedAt: now,
	}
	if fate == dynomad.StateAppCrashed {
		code := 3
		d.ExitCode, d.Restarts, d.AdditionalInfo = &code, 2, "The process ended with exit code 3."
	}
	return d
}

// DynosVersion is the same for all pictures: none is kept.
func (c *Cluster) DynosVersion(dynomad.App) uint64 { return 0 }

// StaleFor is 0: nothing is ever away.
func (c *Cluster) StaleFor(time.Time) time.Duration { return 0 }

// Expect does nothing: Wake comes after the change.
func (c *Cluster) Expect(context.Context, string) {}

// Wake ends the app's rollout, before the request that began it is answered.
func (c *Cluster) Wake(ctx context.Context, appID string) {
	ctx = context.WithoutCancel(ctx)
	state, err := c.store.AppState(ctx, appID)
	if err != nil || state.Last == nil || state.Last.Status != dynomad.ReleasePending || state.Build == nil {
		return // deleted, or nothing to end
	}
	end := dynomad.ReleaseEnd{ID: state.Last.ID, From: dynomad.ReleasePending, Status: dynomad.ReleaseSucceeded, Audit: dynomad.Audit{
		ID: c.id(), Action: "release.end", Details: "The release ended.", CreatedAt: c.now(),
	}}
	switch c.fate(state.Build.Image) {
	case dynomad.StateAppCrashed:
		end.Status, end.Info = dynomad.ReleaseFailed, "web is app-crashed: The process ended with exit code 3."
	case dynomad.StatePending:
		return
	default:
	}
	if _, err := c.store.EndRollout(ctx, appID, dynomad.RolloutEnd{Applied: dynomad.AppliedState{UpdatedAt: c.now()}, Release: &end}); err != nil {
		c.tb.Errorf("ending a rollout: %v", err)
	}
}

// Exec notes what is to be run in a dyno.
func (c *Cluster) Exec(_ context.Context, in dynomad.Exec) (dynomad.Executed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scripts = append(c.scripts, in.Dyno.TypeN+": "+in.Script)
	return dynomad.Executed{Stdout: io.NopCloser(strings.NewReader("done\n")), Stderr: io.NopCloser(strings.NewReader(""))}, nil
}

// Talk says the words that it is given, on both streams, and hands the input back. "exit 5" gives 5.
func (c *Cluster) Talk(_ context.Context, in dynomad.Session) (int, error) {
	command := strings.Join(in.Command, "|")
	_, err := io.WriteString(in.Terminal.Stdout, command+"\n")
	if err == nil {
		_, err = io.WriteString(in.Terminal.Stderr, "to "+in.Dyno+"\n")
	}
	if err == nil {
		_, err = io.Copy(in.Terminal.Stdout, in.Terminal.Stdin)
	}
	code := 0
	_, _ = fmt.Sscanf(command, "exit|%d", &code) // 0 for others
	return code, err
}

// Open gives the same lines of every dyno.
func (c *Cluster) Open(dynomad.App, dynomad.LogOptions) (dynomad.LogReader, error) {
	return &lines{
		{At: c.now(), Source: dynomad.LogApp, Proc: "web.1", Text: "starting"},
		{At: c.now(), Source: dynomad.LogApp, Proc: "web.1", Text: "no \x1b[1mdatabase"},
	}, nil
}

// lines are a log that has an end.
type lines []dynomad.LogLine

// Next gives all lines, once.
func (l *lines) Next(context.Context) ([]dynomad.LogLine, error) {
	all := *l
	if *l = nil; all == nil {
		return nil, io.EOF
	}
	return all, nil
}

// Close does nothing.
func (l *lines) Close() {}
