//go:build integration

package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestChaos_notices plants faults in what the checkers of the chaos tests look at: each must be noticed. Faults that were planted in the
// daemon itself are listed in docs/chaos.md.
func TestChaos_notices(t *testing.T) {
	t.Parallel()
	made := func() world {
		return world{
			"a-default": {
				AutoRelease: true, Types: map[string]worldType{"web": {Quantity: 1, Size: "gp2"}}, Config: map[string]string{"A": "2"},
				Builds:   []worldBuild{{Image: "i"}},
				Releases: []worldRelease{{0, "Set A config vars", map[string]string{"A": "1"}}, {1, "Deploy i", map[string]string{"A": "2"}}},
			},
			"b-default": {Types: map[string]worldType{}, Config: map[string]string{}},
		}
	}
	if diff := differs(made(), made()); diff != "" {
		t.Errorf("the same differs: %s", diff)
	}
	for what, plant := range map[string]func(w world){
		"an app lost":            func(w world) { delete(w, "b-default") },
		"an app too many":        func(w world) { w["c-default"] = &worldApp{} },
		"a scaling lost":         func(w world) { w["a-default"].Types["web"] = worldType{Quantity: 2, Size: "gp2"} },
		"a type lost":            func(w world) { delete(w["a-default"].Types, "web") },
		"a config var lost":      func(w world) { w["a-default"].Config = map[string]string{} },
		"a release lost":         func(w world) { w["a-default"].Releases = w["a-default"].Releases[:1] },
		"a release of nothing":   func(w world) { w["a-default"].Releases[1].Build = 0 },
		"a build lost":           func(w world) { w["a-default"].Builds = nil },
		"maintenance forgotten":  func(w world) { w["a-default"].Maintenance = true },
		"a description lost":     func(w world) { w["a-default"].Description = "x" },
		"auto-release forgotten": func(w world) { w["a-default"].AutoRelease = false },
	} {
		w := made()
		plant(w)
		if differs(w, made()) == "" {
			t.Errorf("%s: not noticed", what)
		}
	}

	env := func(text string) [][]string { return [][]string{strings.Fields(text)} }
	if wrong := misconfigured(made(), env("DYNOMAD_APP=a-default DYNO=web.1 DYNOMAD_RELEASE=v2 A=2 PATH=/")); len(wrong) > 0 {
		t.Errorf("a dyno as it should be: %q", wrong)
	}
	for what, text := range map[string]string{
		"config of the release before": "DYNOMAD_APP=a-default DYNOMAD_RELEASE=v2 A=1",
		"config of another app":        "DYNOMAD_APP=a-default DYNOMAD_RELEASE=v2 A=2 B=1",
		"a config var is missing":      "DYNOMAD_APP=a-default DYNOMAD_RELEASE=v2",
		"a release that never was":     "DYNOMAD_APP=a-default DYNOMAD_RELEASE=v3 A=2",
		"an app that is no more":       "DYNOMAD_APP=c-default DYNOMAD_RELEASE=v1",
	} {
		if len(misconfigured(made(), env(text))) == 0 {
			t.Errorf("%s: not noticed", what)
		}
	}

	group := jobGroup{Count: 1, Image: "i", Release: "2", Config: map[string]string{"A": "2"}}
	if !group.same(group) || !group.told(jobGroup{Count: 2, Image: "i", Release: "2", Config: map[string]string{"A": "2"}}) {
		t.Error("a job as it should be is said to be wrong")
	}
	for what, other := range map[string]jobGroup{
		"another count":      {Count: 2, Image: "i", Release: "2", Config: map[string]string{"A": "2"}},
		"another image":      {Count: 1, Image: "j", Release: "2", Config: map[string]string{"A": "2"}},
		"another release":    {Count: 1, Image: "i", Release: "1", Config: map[string]string{"A": "2"}},
		"another config var": {Count: 1, Image: "i", Release: "2", Config: map[string]string{"A": "1"}},
		"a check too many":   {Count: 1, Image: "i", Release: "2", Config: map[string]string{"A": "2"}, Check: "/"},
	} {
		if group.same(other) {
			t.Errorf("%s: not noticed", what)
		}
	}

	const page = `{"DYNOMAD_APP":"steady-default","DYNOMAD_RELEASE":"v2","MARK":"` + mark + `"}`
	if err := ofSteady(page); err != nil {
		t.Error(err)
	}
	for what, other := range map[string]string{
		"another app's dyno":   strings.Replace(page, "steady", "other", 1),
		"another release":      strings.Replace(page, "v2", "v1", 1),
		"no config":            strings.Replace(page, mark, "", 1),
		"another app's config": strings.Replace(page, "{", `{"A":"1",`, 1),
		"no page of a dyno":    "502 Bad Gateway",
	} {
		if ofSteady(other) == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesMisses has visitors fail at the edges of a time that is excused: only those who came in it do not count, and none at all who
// was served another app's page.
func TestChaos_noticesMisses(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	for what, c := range map[string]struct {
		visit failedVisit
		lost  int
	}{
		"before":         {failedVisit{began: at(9), ended: at(12)}, 1},
		"at its start":   {failedVisit{began: at(10), ended: at(12)}, 0},
		"in it":          {failedVisit{began: at(15), ended: at(30)}, 0},
		"at its end":     {failedVisit{began: at(20), ended: at(20)}, 1},
		"wrongly served": {failedVisit{began: at(15), ended: at(15), wrong: true}, 1},
		"before all":     {failedVisit{began: at(1), ended: at(2)}, 0},
		"wrong then":     {failedVisit{began: at(1), ended: at(2), wrong: true}, 1},
	} {
		l := &visitLoad{failed: []failedVisit{c.visit}}
		l.excuse(span{at(10), at(20)})
		if got := l.lost(at(5)); got != c.lost {
			t.Errorf("a visitor %s: %d lost, want %d", what, got, c.lost)
		}
	}
}

// TestChaos_noticesVisitors ends the only dyno of an app that visitors come to: those who were not served must be counted.
func TestChaos_noticesVisitors(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "hello")
	const app = "noticed-default"
	d.do(http.MethodPost, "/apps", `{"name":"noticed"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	dynos := d.waitDynos(app, "web", time.Minute, allReady(1))
	d.page(app, "/")
	visits := served{d, app}.load(1)
	visits.more(t, 20)
	if n := visits.lost(visits.start); n > 0 {
		t.Fatalf("%d visitors were not served before anything happened", n)
	}
	d.endContainer(t, dynos[0].ID)
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		if visits.lost(visits.start) == 0 {
			return errors.New("no visitor is said not to have been served")
		}
		return nil
	})
	d.waitDynos(app, "web", time.Minute, allReady(1))
}
