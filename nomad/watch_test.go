package nomad

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

const within = 10 * time.Second

// synced waits for the nth full list.
func synced(t *testing.T, f *follower, n int) {
	t.Helper()
	nomadtest.Eventually(t, within, func(context.Context) error {
		if resets, lost := f.counts(); resets < n {
			return fmt.Errorf("%d full lists, lost %d times", resets, lost)
		}
		return nil
	})
}

// runs waits until the view says that the job's live dynos run these releases.
func runs(t *testing.T, f *follower, want ...int) {
	t.Helper()
	nomadtest.Eventually(t, within, func(context.Context) error {
		versions, fresh := f.Releases("default", "fix-default")
		for _, v := range want {
			fresh = fresh && versions[v]
		}
		if !fresh || len(versions) != len(want) {
			return fmt.Errorf("releases %v, fresh %t; want %v", versions, fresh, want)
		}
		return nil
	})
}

func TestWatcher_listsOverAnOpenStream(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	f := watch(t, s, 0)
	synced(t, f, 1)
	asked := s.asked()
	if asked[0] != "/v1/event/stream" {
		t.Errorf("asked for %v: what happens between a list and the stream would be missed", asked)
	}
	got := f.resets[0]
	if got.Index != 16 { // the lowest of the lists': what one of them did not show must not be passed over
		t.Errorf("index %d, want 16", got.Index)
	}
	if len(got.Jobs) != 2 || len(got.Allocs) != 1 || len(got.Blocked) != 1 || len(got.Contents) != 1 {
		t.Fatalf("got %d jobs, %d allocations, %d blocked, %d contents", len(got.Jobs), len(got.Allocs), len(got.Blocked), len(got.Contents))
	}
	if b := got.Blocked[0]; b.JobID != "big-default" || len(b.Failed) != 1 {
		t.Errorf("blocked: %+v", b)
	}
	info, ok, fresh := f.Job("default", "fix-default")
	if !ok || !fresh || info.Installation != "inst" || info.AppID != "a1" || info.ModifyIndex != 12 || info.CreateIndex != 12 {
		t.Errorf("job: %+v, %t, %t", info, ok, fresh)
	}
	runs(t, f, 1)
}

// TestWatcher_newVersion replays a rollout. The versions of its new allocations are learned with one list, though two of the
// job's allocations are in the event.
func TestWatcher_newVersion(t *testing.T) {
	t.Parallel()
	s, lines := newStandIn(t), events(t)
	f := watch(t, s, 0)
	synced(t, f, 1)
	s.send(lines[18])
	s.send(lines[19])
	runs(t, f, 2) // the list is of later: the old one has ended
	s.send(lines[24])
	s.taken(f)
	if n := s.count("/v1/job/fix-default/allocations"); n != 1 {
		t.Errorf("%d lists of the job's allocations, want 1", n)
	}
	if info, _, _ := f.Job("default", "fix-default"); info.ModifyIndex != 18 {
		t.Errorf("index %d, want 18", info.ModifyIndex)
	}
	if resets, lost := f.counts(); resets != 1 || lost != 0 {
		t.Errorf("%d full lists, lost %d times", resets, lost)
	}
}

// TestWatcher_passesOverOldEvents is sent what the list knows already: Nomad begins with what is in its buffer.
func TestWatcher_passesOverOldEvents(t *testing.T) {
	t.Parallel()
	s, lines := newStandIn(t), events(t)
	f := watch(t, s, 0)
	synced(t, f, 1)
	old := strings.ReplaceAll(lines[27], `"Index":27`, `"Index":16`)
	s.send(old)
	s.taken(f)
	if n := s.count("/v1/job/fix-default"); n != 0 {
		t.Error("an event at the list's index was taken")
	}
	if f.removed("fix-default") {
		t.Error("an event at the list's index removed the job")
	}
}

func TestWatcher_stopAndPurge(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"JobDeregistered", "JobBatchDeregistered"} { // by hand, and by Nomad's garbage collection
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, lines := newStandIn(t), events(t)
			f := watch(t, s, 0)
			synced(t, f, 1)
			line := func(index uint64) string { return strings.ReplaceAll(lines[index], "JobDeregistered", kind) }
			s.send(line(25))
			nomadtest.Eventually(t, within, func(context.Context) error {
				if info, ok, _ := f.Job("default", "fix-default"); !ok || !info.Stopped || info.ModifyIndex != 25 {
					return fmt.Errorf("a stopped job is %+v, %t", info, ok)
				}
				return nil
			})
			s.set(func() { s.gone = map[string]uint64{"/v1/job/fix-default": 27} }) // Nomad tells of it before it can be read
			s.send(line(27))
			nomadtest.Eventually(t, within, func(context.Context) error {
				if info, ok, _ := f.Job("default", "fix-default"); ok {
					return fmt.Errorf("a purged job is %+v", info)
				}
				return nil
			})
			if !f.removed("fix-default") {
				t.Error("nobody was told that it is gone")
			}
		})
	}
}

func TestWatcher_startsAnewWhenTheStreamBreaks(t *testing.T) {
	t.Parallel()
	breaks := map[string]func(s *standIn){
		"it ends":               (*standIn).cut,
		"it sends nonsense":     func(s *standIn) { s.send("Internal Server Error") },
		"it says what is wrong": func(s *standIn) { s.send(`{"Error":{"Message":"subscription closed by server"}}`) },
		"its index goes back": func(s *standIn) {
			s.send(`{"Index":4000000000}`)
			s.send(`{}`)
			s.send(`{"Index":3999999999}`)
		},
		"a question fails": func(s *standIn) {
			s.set(func() { s.broken = true })
			s.send(events(s.T)[25])
			nomadtest.Eventually(s.T, within, func(context.Context) error {
				if s.count("/v1/job/fix-default") == 0 {
					return fmt.Errorf("not asked for the job yet")
				}
				return nil
			})
			s.set(func() { s.broken = false })
		},
	}
	for name, breakIt := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t)
			f := watch(t, s, 0)
			synced(t, f, 1)
			breakIt(s)
			synced(t, f, 2)
			if _, lost := f.counts(); lost < 1 {
				t.Error("the view was not told that sight was lost")
			}
			if _, _, fresh := f.Job("default", "fix-default"); !fresh {
				t.Error("the view is not fresh again")
			}
		})
	}
}

// TestWatcher_silence has the connection stay open and nothing come: after the bound it is cut. Heartbeats are no silence.
func TestWatcher_silence(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	const bound = 400 * time.Millisecond
	f := watch(t, s, bound)
	synced(t, f, 1)
	for range 12 {
		time.Sleep(bound / 4)
		s.send("{}")
	}
	if resets, lost := f.counts(); resets != 1 || lost != 0 {
		t.Fatalf("with heartbeats: %d full lists, lost %d times", resets, lost)
	}
	synced(t, f, 2)
}

// TestWatcher_doubt has a stream that brings nothing, and somebody who knows: it begins anew at once.
func TestWatcher_doubt(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	f := watch(t, s, 0)
	for n := range 3 {
		synced(t, f, n+1)
		f.watcher.Doubt()
	}
	synced(t, f, 4)
	if _, lost := f.counts(); lost != 3 {
		t.Errorf("lost %d times, want 3", lost)
	}
}

// TestWatcher_doubtForgotten has a wire forget its connections, those too that nobody uses at that moment: none of them may be used again.
func TestWatcher_doubtForgotten(t *testing.T) {
	t.Parallel()
	wire, err := nomadtest.NewWire(t.Context(), strings.TrimPrefix(newStandIn(t).server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wire.Close() })
	f := watchAt(t, "http://"+wire.Addr(), 0)
	synced(t, f, 1)
	wire.Forget()
	f.watcher.Doubt()
	synced(t, f, 2)
}

// TestWatcher_forgottenWhileOpening has a wire forget its connections when the stream has been asked for and not been answered. Such a
// silence is not a quiet stream's: it is given up like any call.
func TestWatcher_forgottenWhileOpening(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	s.mute = true
	wire, err := nomadtest.NewWire(t.Context(), strings.TrimPrefix(s.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wire.Close() })
	f := watchAt(t, "http://"+wire.Addr(), 0)
	nomadtest.Eventually(t, within, func(context.Context) error {
		if s.count("/v1/event/stream") == 0 {
			return errors.New("the stream was not asked for")
		}
		return nil
	})
	wire.Forget()
	s.set(func() { s.mute = false })
	nomadtest.Eventually(t, callTimeout+within, func(context.Context) error {
		if resets, _ := f.counts(); resets == 0 {
			return errors.New("no full list yet")
		}
		return nil
	})
}

// TestWatcher_neverAnswers opens a stream at a Nomad that accepts the request and says nothing.
func TestWatcher_neverAnswers(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	s.mute = true
	f := watch(t, s, 200*time.Millisecond)
	nomadtest.Eventually(t, within, func(context.Context) error {
		if n := s.count("/v1/event/stream"); n < 3 {
			return fmt.Errorf("tried %d times", n)
		}
		return nil
	})
	if resets, lost := f.counts(); resets != 0 || lost == 0 {
		t.Errorf("%d full lists, lost %d times", resets, lost)
	}
	s.set(func() { s.mute = false })
	synced(t, f, 1)
}

// TestWatcher_backsOff tries ever more slowly while lists fail.
func TestWatcher_backsOff(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	s.broken = true
	f := watch(t, s, 0)
	time.Sleep(3 * time.Second)
	if n := s.count("/v1/event/stream"); n < 2 || n > 6 {
		t.Errorf("tried %d times in 3 s, want 3 to 5", n)
	}
	if resets, _ := f.counts(); resets != 0 {
		t.Error("half a list was taken")
	}
	s.set(func() { s.broken = false })
	synced(t, f, 1)
}

// TestWatcher_asksNothingForOthers is sent events of a job that is somebody else's.
func TestWatcher_asksNothingForOthers(t *testing.T) {
	t.Parallel()
	s, lines := newStandIn(t), events(t)
	f := watch(t, s, 0)
	synced(t, f, 1)
	before := len(s.asked())
	for _, index := range []uint64{18, 19, 24} {
		line := strings.ReplaceAll(lines[index], "fix-default", "theirs")
		line = strings.ReplaceAll(line, `"dynomad":"inst"`, `"dynomad":"other"`)
		s.send(line)
	}
	s.taken(f)
	if asked := s.asked()[before:]; len(asked) != 0 {
		t.Errorf("asked for %v", asked)
	}
	if info, ok, _ := f.Job("default", "theirs"); !ok || info.Installation != "other" {
		t.Errorf("the job: %+v, %t", info, ok)
	}
	if slices.Contains(s.asked(), "/v1/job/theirs/allocations") {
		t.Error("asked for its allocations")
	}
}
