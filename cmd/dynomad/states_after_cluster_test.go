//go:build integration

package main

import (
	"net/http"
	"testing"
	"time"
)

// These are the parts of TestState about what comes after a dyno: another in its place, or nothing.

// testRelapse follows a crash loop that begins when the release has succeeded. Nomad gives it up after two restarts, and replaces it.
func testRelapse(t *testing.T, s stage) {
	first := s.saw(t, time.Minute, "that crashed", is("app-crashed", "exit code 3"))
	s.waitRelease(s.app, 1, "succeeded")
	next := s.saw(t, time.Minute, "that took its place", func(y sighting) bool { return y.ID != first.ID && y.what() == "running ready" })
	s.lookOn(t, next, lookOn)
	s.relieved(t, first.ID, next.ID, []string{"pending", "running ready", "app-crashed"}, []string{"pending", "running ready"})
	for _, y := range s.latest() {
		if y.ID == first.ID && !is("stopped", "Its process ended with exit code 3.")(y) {
			t.Errorf("of the dyno that was replaced is said %+v", y)
		}
	}
	s.check(t)
}

const (
	stoppedListed = time.Minute     // that a dyno which has ended is listed
	listedSlack   = 5 * time.Second // on a busy machine
)

// testEnded scales a worker to none. What becomes of the dyno is seen in testGone.
func testEnded(t *testing.T, s stage) {
	up := s.await(t, time.Minute, "that runs", is("running ready", ""))
	s.do(http.MethodPatch, "/apps/ended-default/formation/worker", `{"quantity":0}`, http.StatusOK, nil)
	s.await(t, time.Minute, "that has stopped", func(y sighting) bool { return y.ID == up.ID && y.what() == "stopped" })
	s.told(t, up.ID, "pending", "running ready", "stopping", "stopped")
}

// testGone wants a dyno listed for a minute after its process has ended, and not any longer.
func testGone(t *testing.T, s stage) {
	ended := s.saw(t, time.Minute, "that has stopped", is("stopped", ""))
	listed, gone := s.unlisted(t, stoppedListed+time.Minute, ended.ID)
	s.told(t, ended.ID, "pending", "running ready", "stopping", "stopped")
	alloc, _, err := s.cluster.NomadClient().Allocations().Info(ended.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	end := alloc.TaskStates["worker"].FinishedAt
	t.Logf("listed till %s after its end, gone %s after it", listed.Sub(end).Round(time.Millisecond), gone.Sub(end).Round(time.Millisecond))
	if listed.Before(end.Add(stoppedListed - listedSlack)) {
		t.Errorf("listed only till %s after its end, want %s", listed.Sub(end), stoppedListed)
	}
	if gone.After(end.Add(stoppedListed + listedSlack)) {
		t.Errorf("gone only %s after its end, want %s", gone.Sub(end), stoppedListed)
	}
}
