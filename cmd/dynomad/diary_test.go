//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// lookEvery is the pause between two looks of a diary.
const lookEvery = 50 * time.Millisecond

// sighting is a dyno as it was seen.
type sighting struct {
	dyno
	Restarts  int
	ExitCode  *int `json:"exit_code"`
	Node      string
	CreatedAt string `json:"created_at"`
	at        time.Time
}

// what is the state in a word, or two if it is ready.
func (s sighting) what() string {
	if s.Ready {
		return s.State + " ready"
	}
	return s.State
}

// lasting is what of a dyno must never change. One that is not placed is of the newest release.
func (s sighting) lasting() string {
	if s.Node == "" {
		return strings.Join([]string{s.ID, s.Name, s.Type}, " ")
	}
	return strings.Join([]string{s.ID, s.Name, s.Type, s.Command, s.Size, s.CreatedAt, fmt.Sprint(s.Release.Version)}, " ")
}

func toldToStop(s sighting) bool { return s.State == "stopping" || s.State == "stopped" }

// said is all that is told of what it does.
func (s sighting) said() string { return fmt.Sprint(s.what(), s.Restarts, s.AdditionalInfo) }

// diary is what is seen of an app's dynos while a test runs.
type diary struct {
	daemon *daemon
	app    string

	mu      sync.Mutex
	looked  time.Time
	now     []sighting
	seen    map[string]listing    // by id
	changes map[string][]sighting // by id: how it looked first, and after each change of what is told of it
	course  [][]sighting          // the dynos that were not told to stop, first and after each change of which they are and what they do
	wrong   []string              // what may never be
}

// listing tells when a dyno was listed for the last time, and of the first look thereafter; zero while it is listed.
type listing struct{ last, gone time.Time }

// follow starts a diary of an app, which ends with the test of the daemon.
func (d *daemon) follow(app string) *diary {
	y := &diary{daemon: d, app: app, seen: map[string]listing{}, changes: map[string][]sighting{}}
	ctx, cancel := context.WithCancel(d.tb.Context())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			y.look(ctx)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	d.tb.Cleanup(func() { cancel(); done.Wait() })
	return y
}

func (y *diary) look(ctx context.Context) {
	var list []sighting
	status, body, err := y.daemon.try(ctx, http.MethodGet, "/apps/"+y.app+"/dynos", "")
	at := time.Now()
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(body, &list)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case ctx.Err() != nil, status == http.StatusNotFound: // the test is over
		return
	case err != nil || status != http.StatusOK:
		y.complain("GET dynos: %d %s %v", status, body, err)
		return
	}
	y.looked, y.now = at, list
	names := map[string]bool{}
	for i := range list {
		list[i].at = at
		y.note(list[i])
		if names[list[i].ID] || names[list[i].Name] {
			y.complain("the dyno %s or its name is there twice: %s", list[i].ID, body)
		}
		names[list[i].ID], names[list[i].Name] = true, true
		y.seen[list[i].ID] = listing{last: at}
	}
	for id, l := range y.seen {
		if !names[id] && l.gone.IsZero() {
			y.seen[id] = listing{last: l.last, gone: at}
		}
	}
	y.noteCourse(list)
}

// note takes one dyno of a look. y.mu is held.
func (y *diary) note(s sighting) {
	before := y.changes[s.ID]
	if n := len(before); n > 0 {
		if before[n-1].lasting() != s.lasting() {
			y.complain("a dyno is no longer what it was:\nbefore %s\nafter  %s", before[n-1].lasting(), s.lasting())
		}
		if before[n-1].said() == s.said() {
			return
		}
	}
	y.changes[s.ID] = append(before, s)
}

// noteCourse takes all dynos of a look that were not told to stop. y.mu is held.
func (y *diary) noteCourse(list []sighting) {
	up := slices.DeleteFunc(slices.Clone(list), toldToStop)
	same := func(a, b sighting) bool { return a.ID == b.ID && a.what() == b.what() }
	if n := len(y.course); n == 0 || !slices.EqualFunc(y.course[n-1], up, same) {
		y.course = append(y.course, up)
	}
}

func (y *diary) complain(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(y.wrong, text) {
		y.wrong = append(y.wrong, text)
	}
}

// await waits until a dyno satisfies ok, and gives it.
func (y *diary) await(tb testing.TB, within time.Duration, what string, ok func(sighting) bool) sighting {
	tb.Helper()
	return y.find(tb, within, what, func() []sighting { return y.now }, ok)
}

// saw is await, but content with a dyno that was so at any time since the diary began.
func (y *diary) saw(tb testing.TB, within time.Duration, what string, ok func(sighting) bool) sighting {
	tb.Helper()
	all := func() []sighting { return slices.Concat(slices.Collect(maps.Values(y.changes))...) }
	return y.find(tb, within, what, all, ok)
}

func (y *diary) find(tb testing.TB, within time.Duration, what string, among func() []sighting, ok func(sighting) bool) sighting {
	tb.Helper()
	var found sighting
	nomadtest.Eventually(tb, within, func(context.Context) error {
		y.mu.Lock()
		defer y.mu.Unlock()
		list := among()
		slices.SortFunc(list, func(a, b sighting) int { return a.at.Compare(b.at) })
		if i := slices.IndexFunc(list, ok); i >= 0 {
			found = list[i]
			return nil
		}
		return fmt.Errorf("no dyno of %s %s: %+v, seen were %v", y.app, what, y.now, y.storiesLocked())
	})
	return found
}

// is makes a condition of a dyno: what it does, and a part of what is said of it.
func is(what, info string) func(sighting) bool {
	return func(s sighting) bool { return s.what() == what && strings.Contains(s.AdditionalInfo, info) }
}

// lookOn waits for a look so long after a sighting.
func (y *diary) lookOn(tb testing.TB, from sighting, d time.Duration) {
	tb.Helper()
	nomadtest.Eventually(tb, time.Minute, func(context.Context) error {
		y.mu.Lock()
		defer y.mu.Unlock()
		if y.looked.Before(from.at.Add(d)) {
			return errors.New("not looked for long enough")
		}
		return nil
	})
}

// latest gives what was seen last.
func (y *diary) latest() []sighting {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.Clone(y.now)
}

// unlisted waits until a dyno is not listed any more, and gives the times of the last look that it was listed in and of the next one.
func (y *diary) unlisted(tb testing.TB, within time.Duration, id string) (listed, gone time.Time) {
	tb.Helper()
	nomadtest.Eventually(tb, within, func(context.Context) error {
		y.mu.Lock()
		defer y.mu.Unlock()
		listed, gone = y.seen[id].last, y.seen[id].gone
		if gone.IsZero() {
			return fmt.Errorf("dyno %s of %s is listed", id, y.app)
		}
		return nil
	})
	return listed, gone
}

// stories are what each dyno was seen to do, one after the other.
func (y *diary) stories() map[string][]string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.storiesLocked()
}

func (y *diary) storiesLocked() map[string][]string {
	stories := map[string][]string{}
	for id, changes := range y.changes {
		for _, s := range changes {
			stories[id] = append(stories[id], s.what())
		}
		stories[id] = slices.Compact(stories[id])
	}
	return stories
}

// when tells when a dyno was first seen to do something after a time.
func (y *diary) when(tb testing.TB, id, what string, after time.Time) time.Time {
	tb.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, s := range y.changes[id] {
		if s.what() == what && s.at.After(after) {
			return s.at
		}
	}
	tb.Fatalf("dyno %s of %s was never %s: %v", id, y.app, what, y.storiesLocked()[id])
	return time.Time{}
}

// told checks that a dyno did nothing but what a story says, in that order, as far as its last word; it may have been too
// quick for some of the others. The app's other dynos have begun like it, and may have been told to stop.
func (y *diary) told(tb testing.TB, id string, words ...string) {
	tb.Helper()
	y.checkStories(tb, words)
	if story := y.stories()[id]; len(story) == 0 || story[len(story)-1] != words[len(words)-1] || !inOrder(story, words) {
		tb.Errorf("dyno %s of %s did %v, want %v", id, y.app, story, words)
	}
}

// doomed is told for a dyno that Nomad has given up, and perhaps replaced since.
func (y *diary) doomed(tb testing.TB, id string, words ...string) {
	tb.Helper()
	y.checkStories(tb, words)
	if story := y.stories()[id]; !slices.Contains(story, words[len(words)-1]) {
		tb.Errorf("dyno %s of %s did %v, want %v", id, y.app, story, words)
	}
}

// relieved checks what the one dyno that an app is to have was seen to be while one allocation came in another's place: there was always
// one row, and each did nothing but what its story says, as far as its last word. Nobody has the place for the instant in which Nomad
// fills it.
func (y *diary) relieved(tb testing.TB, first, next string, words, nextWords []string) {
	tb.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	called := map[string]string{first: "first ", next: "next "}
	words, nextWords = prefixed(called[first], words), prefixed(called[next], nextWords)
	end := nextWords[len(nextWords)-1]
	var got []string
	for _, rows := range y.course {
		if len(rows) == 0 && len(got) == 0 { // nothing is released yet
			continue
		}
		if slices.Contains(got, end) {
			break
		}
		if len(rows) != 1 {
			tb.Errorf("app %s had %d dynos at once: %+v", y.app, len(rows), rows)
			continue
		}
		got = append(got, called[rows[0].ID]+rows[0].what())
	}
	tb.Logf("the dyno of %s did %v", y.app, got)
	want := slices.Concat([]string{"waiting"}, words, []string{"waiting"}, nextWords)
	if !inOrder(got, want) || !slices.Contains(got, words[len(words)-1]) || !slices.Contains(got, end) {
		tb.Errorf("the dyno of %s did %v, want %v", y.app, got, want)
	}
}

func prefixed(prefix string, words []string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = prefix + word
	}
	return out
}

func (y *diary) checkStories(tb testing.TB, words []string) {
	tb.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	allowed := append(slices.Clone(words), "stopping", "stopped")
	for id, story := range y.storiesLocked() {
		if unplaced := len(story) == 1 && story[0] == "waiting"; !unplaced && !inOrder(story, allowed) {
			tb.Errorf("dyno %s of %s did %v, want no other than %v", id, y.app, story, allowed)
		}
	}
	y.checkLocked(tb)
}

// check reports what may never be.
func (y *diary) check(tb testing.TB) {
	tb.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	y.checkLocked(tb)
}

func (y *diary) checkLocked(tb testing.TB) {
	tb.Helper()
	for _, text := range y.wrong {
		tb.Errorf("app %s: %s", y.app, text)
	}
}

// inOrder reports whether got is all what is left of want when some of it is left out.
func inOrder(got, want []string) bool {
	for _, word := range want {
		if len(got) > 0 && got[0] == word {
			got = got[1:]
		}
	}
	return len(got) == 0
}
