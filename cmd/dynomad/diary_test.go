//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	ExitCode  *int   `json:"exit_code"`
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

// lasting is what of a dyno must never change.
func (s sighting) lasting() string {
	return strings.Join([]string{s.ID, s.Name, s.Type, s.Command, s.Size, s.CreatedAt, fmt.Sprint(s.Release.Version)}, " ")
}

// diary is what is seen of an app's dynos while a test runs.
type diary struct {
	daemon *daemon
	app    string

	mu      sync.Mutex
	looks   int
	now     []sighting
	changes map[string][]sighting // by id: how it looked first, and after each change of what it does
	wrong   []string              // what may never be
}

// follow starts a diary of an app, which ends with the test of the daemon.
func (d *daemon) follow(app string) *diary {
	y := &diary{daemon: d, app: app, changes: map[string][]sighting{}}
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
	y.looks++
	y.now = list
	names := map[string]bool{}
	for i := range list {
		list[i].at = at
		y.note(list[i])
		if names[list[i].ID] || names[list[i].Name] {
			y.complain("the dyno %s or its name is there twice: %s", list[i].ID, body)
		}
		names[list[i].ID], names[list[i].Name] = true, true
	}
}

// note takes one dyno of a look. y.mu is held.
func (y *diary) note(s sighting) {
	before := y.changes[s.ID]
	if n := len(before); n > 0 {
		if before[n-1].lasting() != s.lasting() {
			y.complain("a dyno is no longer what it was:\nbefore %s\nafter  %s", before[n-1].lasting(), s.lasting())
		}
		if before[n-1].what() == s.what() {
			return
		}
	}
	y.changes[s.ID] = append(before, s)
}

func (y *diary) complain(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(y.wrong, text) {
		y.wrong = append(y.wrong, text)
	}
}

// await waits until a dyno is seen that satisfies ok, and gives it.
func (y *diary) await(tb testing.TB, within time.Duration, what string, ok func(sighting) bool) sighting {
	tb.Helper()
	var found sighting
	nomadtest.Eventually(tb, within, func(context.Context) error {
		y.mu.Lock()
		defer y.mu.Unlock()
		if i := slices.IndexFunc(y.now, ok); i >= 0 {
			found = y.now[i]
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

// lookOn waits for some more looks.
func (y *diary) lookOn(tb testing.TB, looks int) {
	tb.Helper()
	y.mu.Lock()
	until := y.looks + looks
	y.mu.Unlock()
	nomadtest.Eventually(tb, time.Minute, func(context.Context) error {
		y.mu.Lock()
		defer y.mu.Unlock()
		if y.looks < until {
			return errors.New("not looked often enough")
		}
		return nil
	})
}

// story is what a dyno was seen to do, one after the other.
func (y *diary) story(id string) []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.storiesLocked()[id]
}

func (y *diary) storiesLocked() map[string][]string {
	stories := map[string][]string{}
	for id, changes := range y.changes {
		for _, s := range changes {
			stories[id] = append(stories[id], s.what())
		}
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
// quick for some of the others. What comes after is for the other dynos of the app, whose stories may be shorter or longer:
// they start like it and are told to stop at last.
func (y *diary) told(tb testing.TB, id string, words ...string) {
	tb.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	for other, got := range y.storiesLocked() {
		if got[0] == "waiting" && other != id { // not placed yet: a row of its own
			got = got[1:]
		}
		if other == id && got[len(got)-1] != words[len(words)-1] {
			tb.Errorf("dyno %s of %s did %v, want %v", id, y.app, got, words)
		}
		allowed := words
		if other != id {
			allowed = append(slices.Clone(words), "stopping", "stopped")
		}
		if !inOrder(got, allowed) {
			tb.Errorf("dyno %s of %s did %v, want no other than %v", other, y.app, got, allowed)
		}
	}
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
