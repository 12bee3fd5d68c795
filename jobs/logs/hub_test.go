package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
		t: t, ended: map[string]bool{}, began: map[string]time.Time{}, written: map[string][]string{}, before: map[string]int{}, follows: map[string]int{},
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

func (w *world) read(o dynomad.LogOptions) *client {
	w.t.Helper()
	r, err := w.hub.Open(shop, o)
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

func TestHub_joinsAndLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		w.write("web.1", "one", "two", "three")
		c := w.read(dynomad.LogOptions{Lines: 2, Tail: true})
		w.write("web.1", "four")
		synctest.Wait()
		w.scale("web.1", "web.2")
		w.write("web.2", "hello")
		time.Sleep(2 * time.Second)
		w.write("web.2", "bye")
		synctest.Wait()
		w.change(func() { w.ended["web.2"] = true; w.dynos[1].State = dynomad.StateStopped })
		time.Sleep(2 * time.Second)
		w.scale("web.1")
		w.write("web.1", "five")
		time.Sleep(2 * time.Second)
		c.want(t, "app[web.1]: two", "app[web.1]: three", "app[web.1]: four", "dynomad[web.2]: state is running", "app[web.2]: hello",
			"app[web.2]: bye", "dynomad[web.2]: state changed from running to stopped", "app[web.1]: five")
		if diff := cmp.Diff(map[string]int{"web.1": 1, "web.2": 1}, w.begun()); diff != "" {
			t.Errorf("followed (-want +got):\n%s", diff)
		}
		c.leave()
		time.Sleep(time.Second)
		if now, _ := w.followed(); now != 0 {
			t.Errorf("%d outputs are followed without a reader", now)
		}
	})
}

// TestHub_readers has several read: each output is followed once, and each reader gets each line once and in order.
func TestHub_readers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1", "web.2", "worker.1")
		defer w.close()
		filters := []dynomad.LogFilter{{}, {Type: "web"}, {Dyno: "web.2"}, {Dyno: "worker"}, {Source: "heroku"}, {Dyno: "nobody.1"}, {Dyno: "id-web.1"}}
		var clients []*client
		for _, f := range filters {
			clients = append(clients, w.read(dynomad.LogOptions{LogFilter: f, Tail: true}))
		}
		want := make([]map[string][]string, len(filters))
		for i := range want {
			want[i] = map[string][]string{}
		}
		add := func(line string, clients ...int) {
			proc, _, _ := strings.Cut(line, ":")
			for _, i := range clients {
				want[i][proc] = append(want[i][proc], line)
			}
		}
		for i := range 2000 {
			text := fmt.Sprint(i)
			w.write("web.1", text)
			w.write("web.2", text)
			w.write("worker.1", text)
			add("app[web.1]: "+text, 0, 1, 6)
			add("app[web.2]: "+text, 0, 1, 2)
			add("app[worker.1]: "+text, 0, 3)
			if i%10 == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(5 * time.Second)
		w.audit("release.create", "Released v2.")
		time.Sleep(5 * time.Second)
		add("dynomad[release]: Released v2 by me@x", 0, 4)
		for i, c := range clients {
			got := map[string][]string{}
			for _, line := range c.texts() {
				proc, _, _ := strings.Cut(line, ":")
				got[proc] = append(got[proc], line)
			}
			if diff := cmp.Diff(want[i], got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", filters[i], diff)
			}
			c.leave()
		}
		if diff := cmp.Diff(map[string]int{"web.1": 1, "web.2": 1, "worker.1": 1}, w.begun()); diff != "" {
			t.Errorf("followed (-want +got):\n%s", diff)
		}
	})
}

// TestHub_resume goes on where a reader was, without loss and repetition, as long as the lines are kept.
func TestHub_resume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Lines: 10}, "web.1")
		defer w.close()
		first := w.read(dynomad.LogOptions{Tail: true})
		w.write("web.1", "a", "b")
		first.want(t, "app[web.1]: a", "app[web.1]: b")
		after := first.last()
		w.write("web.1", "c")
		synctest.Wait()
		first.leave()
		w.write("web.1", "d")
		w.scale("web.1", "web.2")
		w.write("web.2", "e")
		time.Sleep(50 * time.Second)
		second := w.read(dynomad.LogOptions{Tail: true, After: after, Lines: 100})
		time.Sleep(time.Second)
		texts := second.texts()
		slices.Sort(texts)
		want := []string{"app[web.1]: c", "app[web.1]: d", "app[web.2]: e", "dynomad[web.2]: state is running"}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Errorf("resumed (-want +got):\n%s", diff)
		}

		history := w.read(dynomad.LogOptions{After: second.last(), Lines: 100})
		history.want(t)
		w.write("web.1", strings.Split("0123456789ABC", "")...)
		synctest.Wait()
		lost := w.read(dynomad.LogOptions{Tail: true, After: after})
		if got := lost.texts(); len(got) != 1 || !strings.Contains(got[0], "may be missing") {
			t.Errorf("after what is no longer kept: %q", got)
		}
		second.leave()
		lost.leave()

		time.Sleep(2 * time.Minute) // nothing is kept any more
		third := w.read(dynomad.LogOptions{Tail: true, After: after})
		w.write("web.1", "f")
		time.Sleep(time.Second)
		if got := third.texts(); len(got) != 2 || !strings.Contains(got[0], "may be missing") || got[1] != "app[web.1]: f" {
			t.Errorf("after all was forgotten: %q", got)
		}
		for _, bad := range []string{"x", "ring2-", "ring2-99999", "ring2--1", "-", "ring2-99999999999999999999"} {
			c := w.read(dynomad.LogOptions{Tail: true, After: bad})
			if got := c.texts(); len(got) != 1 || !strings.Contains(got[0], "may be missing") {
				t.Errorf("after %q: %q", bad, got)
			}
			c.leave()
		}
		third.leave()
	})
}

// TestHub_slowReader reads too slowly: the reader is told, and nobody else notices.
func TestHub_slowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Bytes: 10_000}, "web.1")
		defer w.close()
		slow, err := w.hub.Open(shop, dynomad.LogOptions{Tail: true, Lines: 1})
		if err != nil {
			t.Fatal(err)
		}
		fast := w.read(dynomad.LogOptions{Tail: true})
		w.write("web.1", "first")
		synctest.Wait()
		if lines, err := slow.Next(t.Context()); err != nil || len(lines) != 1 {
			t.Fatalf("got %v, %v", lines, err)
		}
		for i := range 200 {
			w.write("web.1", strings.Repeat("x", i))
			synctest.Wait()
		}
		if n := len(fast.texts()); n != 201 {
			t.Errorf("the fast reader has %d lines, want 201", n)
		}
		lines, err := slow.Next(t.Context())
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0].Text, "too slowly") || lines[0].ID != "ring1-1" {
			t.Errorf("the slow reader gets %v, %v", lines, err)
		}
		if _, err := slow.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("… and then %v", err)
		}
		slow.Close()
		fast.leave()
	})
}

// TestHub_history shares lines that were there before fairly among dynos, and puts audits where they belong.
func TestHub_history(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1", "web.2")
		defer w.close()
		for i := range 50 {
			w.write("web.1", fmt.Sprint("a", i))
		}
		w.write("web.2", "b")
		w.audit("release.create", "Released v1: Deploy x:1.")
		c := w.read(dynomad.LogOptions{Lines: 6})
		c.want(t, "app[web.1]: a46", "app[web.1]: a47", "app[web.1]: a48", "app[web.1]: a49", "app[web.2]: b", "dynomad[release]: Released v1: Deploy x:1 by me@x")
		if !errors.Is(c.err, io.EOF) {
			t.Errorf("it ends with %v", c.err)
		}
		w.read(dynomad.LogOptions{}).want(t)
		tail := w.read(dynomad.LogOptions{Tail: true})
		w.write("web.1", "new")
		synctest.Wait()
		w.read(dynomad.LogOptions{Lines: 2, LogFilter: dynomad.LogFilter{Source: "app"}}).want(t, "app[web.2]: b", "app[web.1]: new")
		tail.leave()
	})
}

// TestHub_appGone ends the readers of an app that is deleted.
func TestHub_appGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		c := w.read(dynomad.LogOptions{Tail: true})
		w.change(func() { w.gone = true })
		<-c.done
		if !errors.Is(c.err, io.EOF) {
			t.Errorf("got %v", c.err)
		}
	})
}

// TestHub_limits bounds readers, followed outputs and what is kept.
func TestHub_limits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Readers: 3, AppReaders: 2, Followed: 1, Feeds: 1}, "web.1", "web.2")
		defer w.close()
		one := w.read(dynomad.LogOptions{Tail: true, Lines: 10})
		two := w.read(dynomad.LogOptions{Tail: true})
		if _, err := w.hub.Open(shop, dynomad.LogOptions{}); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("the third reader of an app: %v", err)
		}
		other, err := w.hub.Open(dynomad.App{ID: "app-2"}, dynomad.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.hub.Open(dynomad.App{ID: "app-3"}, dynomad.LogOptions{}); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("the fourth reader: %v", err)
		}
		other.Close()
		time.Sleep(time.Second)
		if got := one.texts(); !strings.Contains(strings.Join(got, "\n"), "is not shown for now") {
			t.Errorf("readers are told %q", got)
		}
		w.write("web.1", "a")
		w.write("web.2", "b")
		synctest.Wait()
		w.change(func() { w.ended["web.1"], w.ended["web.2"] = true, true })
		time.Sleep(2 * time.Second)
		texts := one.texts()
		for _, want := range []string{"app[web.1]: a", "app[web.2]: b"} {
			if !slices.Contains(texts, want) {
				t.Errorf("%q is missing in %q", want, texts)
			}
		}
		one.leave()
		two.leave()
		if _, most := w.followed(); most != 1 {
			t.Errorf("%d were followed at once", most)
		}
		for i := range 5 { // each makes the one before it be forgotten
			r, err := w.hub.Open(dynomad.App{ID: fmt.Sprint("app-", i)}, dynomad.LogOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			synctest.Wait()
		}
	})
}

// TestHub_unreadable tells readers that output cannot be read, and reads it when it can.
func TestHub_unreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		w.write("web.1", "a")
		w.broken = dynomad.Errorf(dynomad.Unavailable, "Nomad does not answer.")
		c := w.read(dynomad.LogOptions{Tail: true, Lines: 10})
		time.Sleep(10 * time.Second)
		c.want(t, "dynomad[web.1]: The output cannot be read now: Nomad does not answer.")
		w.change(func() { w.broken = nil })
		time.Sleep(10 * time.Second)
		w.write("web.1", "b")
		c.want(t, "dynomad[web.1]: The output cannot be read now: Nomad does not answer.", "app[web.1]: a", "app[web.1]: b")
		c.leave()
	})
}

// TestHub_whole takes output that appears for new, whatever clocks say, once it is known that nothing was missing; before, for old.
func TestHub_whole(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, logs.Limits{})
			defer w.close()
			w.whole = whole
			c := w.read(dynomad.LogOptions{Tail: true})
			time.Sleep(time.Minute)
			w.began["web.1"] = time.Now().Add(-time.Hour)
			lines := strings.Split(strings.Repeat("x", 2*dynomad.MaxLogLines), "")
			w.write("web.1", lines...)
			w.scale("web.1")
			time.Sleep(time.Minute)
			want := dynomad.MaxLogLines + 1
			if whole {
				want = len(lines)
			}
			if got := len(c.texts()) - 1; got != want {
				t.Errorf("%d lines, want %d", got, want)
			}
			c.leave()
		})
	}
}

// TestHub_close ends readers and everything else.
func TestHub_close(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		c := w.read(dynomad.LogOptions{Tail: true})
		w.close()
		<-c.done
		if !errors.Is(c.err, io.EOF) {
			t.Errorf("got %v", c.err)
		}
		if _, err := w.hub.Open(shop, dynomad.LogOptions{}); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("opening after the end: %v", err)
		}
		w.close()
	})
}
