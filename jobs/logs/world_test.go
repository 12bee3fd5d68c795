package logs_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/logs"
)

var shop = dynomad.App{ID: "app-1", Name: "shop-default"}

// world is apps and outputs that a test makes up.
type world struct {
	t   *testing.T
	hub *logs.Hub

	mu       sync.Mutex
	gone     bool
	whole    bool // pictures are
	dynos    []dynomad.Dyno
	ended    map[string]bool      // by dyno
	began    map[string]time.Time // by dyno
	endedAt  map[string]time.Time // by dyno
	audits   []dynomad.Audit
	written  map[string][]string // by dyno
	before   map[string]int      // how many of them were there before the first reader
	broken   error               // of Tail
	follows  map[string]int      // how often each was begun to be followed
	now, max int                 // how many are followed, and were at most
	changed  chan struct{}
}

// start makes a hub in a bubble of synctest, and closes it at the end: no goroutine may be left then.
func start(t *testing.T, limits logs.Limits, dynos ...string) *world {
	t.Helper()
	w := &world{
		t: t, ended: map[string]bool{}, endedAt: map[string]time.Time{}, began: map[string]time.Time{}, written: map[string][]string{}, before: map[string]int{}, follows: map[string]int{},
		changed: make(chan struct{}),
	}
	w.scale(dynos...)
	time.Sleep(time.Hour) // what is there now was there before
	ids := 0
	w.hub = logs.New(logs.Config{
		Apps: w, Outputs: w, Limits: limits, Now: time.Now, Log: hclog.NewNullLogger(),
		NewID: func() string { ids++; return fmt.Sprintf("ring%d", ids) },
	})
	return w
}

func (w *world) close() {
	w.t.Helper()
	if err := w.hub.Close(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}

// change changes the world and tells the hub.
func (w *world) change(f func()) {
	w.mu.Lock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	if w.hub != nil {
		w.hub.Wake(shop.ID)
	}
}

// scale has exactly these dynos run.
func (w *world) scale(procs ...string) {
	w.change(func() {
		w.dynos = nil
		for _, p := range procs {
			kind, _, _ := strings.Cut(p, ".")
			if _, ok := w.began[p]; !ok {
				w.began[p] = time.Now()
			}
			w.dynos = append(w.dynos, dynomad.Dyno{ID: "id-" + p, Name: "0123456789-" + p, TypeN: p, Type: kind, State: dynomad.StateRunning})
		}
	})
}

// followed gives how many outputs are followed now, and were at most.
func (w *world) followed() (now, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now, w.max
}

// begun gives how often each output was begun to be followed.
func (w *world) begun() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.follows)
}

func (w *world) write(proc string, lines ...string) {
	w.change(func() { w.written[proc] = append(w.written[proc], lines...) })
}

func (w *world) audit(action, details string) {
	w.change(func() {
		w.audits = append(w.audits, dynomad.Audit{
			Seq: int64(len(w.audits) + 1), Action: action, Details: details, UserEmail: "me@x", CreatedAt: time.Now(),
		})
	})
}

func (w *world) Look(context.Context, string) (logs.Picture, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return logs.Picture{}, dynomad.NotFound
	}
	p := logs.Picture{Dynos: slices.Clone(w.dynos), Whole: w.whole}
	for _, d := range w.dynos {
		p.Outputs = append(p.Outputs, logs.Output{
			Alloc: "alloc-" + d.TypeN, DynoID: d.ID, Name: d.Name, Proc: d.TypeN, Type: d.Type, Began: w.began[d.TypeN], Ended: w.ended[d.TypeN],
			EndedAt: w.endedAt[d.TypeN],
		})
	}
	return p, nil
}

func (w *world) Audits(_ context.Context, _ string, after int64, most int) ([]dynomad.Audit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Clone(w.audits[after:])
	if most > 0 {
		all = all[max(0, len(all)-most):]
	}
	return all, nil
}

func (w *world) Tail(_ context.Context, o logs.Output, lines int) ([]logs.Line, logs.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, logs.Position{}, w.broken
	}
	all := w.written[o.Proc]
	var last []logs.Line
	for _, text := range all[max(0, len(all)-lines):] {
		last = append(last, logs.Line{At: w.began[o.Proc], Text: text})
	}
	return last, logs.Position{Stdout: logs.Place{Offset: int64(len(all))}}, nil
}

func (w *world) Follow(ctx context.Context, f logs.Follow) error {
	w.mu.Lock()
	w.follows[f.Proc]++
	w.now++
	w.max = max(w.max, w.now)
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.now--; w.mu.Unlock() }()
	for at := int(f.From.Stdout.Offset); ; {
		w.mu.Lock()
		lines, changed := w.written[f.Proc][at:], w.changed
		w.mu.Unlock()
		for _, text := range lines {
			at++
			f.Emit([]logs.Line{{At: time.Now(), Text: text}}, logs.Position{Stdout: logs.Place{Offset: int64(at)}})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.End:
			return nil
		case <-changed:
		}
	}
}

// client reads in a goroutine of its own.
type client struct {
	reader dynomad.LogReader
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	lines []dynomad.LogLine
	err   error
}

func (w *world) read(o dynomad.LogOptions) *client { w.t.Helper(); return w.readOf(shop, o) }

// readOf reads the logs of an app that has the same dynos.
func (w *world) readOf(app dynomad.App, o dynomad.LogOptions) *client {
	w.t.Helper()
	r, err := w.hub.Open(app, o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	c := &client{reader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer r.Close()
		for {
			lines, err := r.Next(ctx)
			c.mu.Lock()
			c.lines = append(c.lines, lines...)
			c.err = err
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	synctest.Wait()
	return c
}

func (c *client) leave() { c.cancel(); <-c.done; synctest.Wait() }

// texts gives the lines so far, as "source[proc]: text".
func (c *client) texts() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, l := range c.lines {
		out = append(out, fmt.Sprintf("%s[%s]: %s", l.Source, l.Proc, l.Text))
	}
	return out
}

func (c *client) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines[len(c.lines)-1].ID
}

func (c *client) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, c.texts()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
