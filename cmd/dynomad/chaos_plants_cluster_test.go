//go:build integration

package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	nomadapi "github.com/hashicorp/nomad/api"
)

// twoApps is a world with an app that runs and one that is new.
func twoApps() world {
	w := world{
		"a-default": {
			AutoRelease: true, Types: map[string]worldType{
				"web": {Quantity: 2, Size: "gp2", Healthcheck: "/health"}, "worker": {Size: "gp1", Command: "/app worker"},
			},
			Builds: []worldBuild{{ID: "b1", Image: "i", ProcessTypes: map[string]string{"clock": "/app"}}},
		},
		"b-default": {Types: map[string]worldType{}},
	}
	w["a-default"].release(0, map[string]string{"A": "1"}, "Set A config vars")
	w["a-default"].release(1, map[string]string{"A": "2"}, "Deploy i")
	return w
}

// fixedDaemon is a daemon that gives one answer for each path, whatever it is asked.
func fixedDaemon(t *testing.T, answers map[string]string) *daemon {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, known := answers[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return &daemon{tb: t, url: server.URL}
}

// plantEach wants what checks a daemon's answers to be content with them, and to notice each fault: a change of one text in the answer to one
// path, written "path: old → new"; with an empty old one all is replaced.
func plantEach(t *testing.T, answers map[string]string, check func(*daemon) error, faults map[string]string) {
	t.Helper()
	if err := check(fixedDaemon(t, answers)); err != nil {
		t.Errorf("what is as it should be is said to be wrong: %v", err)
	}
	for what, fault := range faults {
		path, change, _ := strings.Cut(fault, ": ")
		from, to, _ := strings.Cut(change, " → ")
		planted := maps.Clone(answers)
		planted[path] = strings.Replace(planted[path], from, to, 1)
		if from == "" {
			planted[path] = to
		}
		if planted[path] == answers[path] {
			t.Errorf("%s: it was not planted", what)
		}
		if check(fixedDaemon(t, planted)) == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesDynos plants faults in what is shown of dynos and of how releases ended.
func TestChaos_noticesDynos(t *testing.T) {
	t.Parallel()
	const dynos, releases = "/apps/a-default/dynos", "/apps/a-default/releases"
	const web = `{"id":"x","type":"web","state":"running","ready":true,"release":{"version":2}}`
	answers := map[string]string{
		dynos:    "[" + web + "," + web + `,{"id":"y","type":"web","state":"stopped","release":{"version":1}}]`,
		releases: `[{"version":1,"status":"failed","additional_info":"superseded by v2"},{"version":2,"status":"succeeded"}]`,

		"/apps/b-default/dynos": `[]`, "/apps/b-default/releases": `[]`,
	}
	check := func(d *daemon) error { return d.checkDynos(t.Context(), twoApps()) }
	plantEach(t, answers, check, map[string]string{
		"a dyno is missing":               dynos + ": " + web + ", → ",
		"a dyno too many":                 dynos + ": [ → [" + web + ",",
		"one is not ready":                dynos + ": true → false",
		"one does not run":                dynos + ": running → pending",
		"one has not ended yet":           dynos + ": stopped → stopping",
		"one runs the release before":     dynos + `: "version":2 → "version":1`,
		"one is of another type":          dynos + `: "web" → "worker"`,
		"one is of a type that is not":    dynos + ": [ → [" + strings.Replace(web, `"web"`, `"clock"`, 1) + ",",
		"a dyno of an app without any":    "/apps/b-default/dynos: [ → [" + strings.Replace(web, ":2", ":0", 1),
		"no dynos can be read":            dynos + ":  → broken",
		"the newest release failed":       releases + `: succeeded → failed","additional_info":"superseded by v2`,
		"the newest release is under way": releases + ": succeeded → pending",
		"an older one failed by itself":   releases + ": superseded by v2 → A dyno crashed.",
		"an older one is under way":       releases + ": failed → pending",
	})
}

// TestChaos_noticesLedger plants faults in what is kept of releases, and in the audits.
func TestChaos_noticesLedger(t *testing.T) {
	t.Parallel()
	const first, audits = "/apps/a-default/releases/1/config-vars", "/apps/a-default/audits"
	answers := map[string]string{
		first: `{"A":"1"}`, "/apps/a-default/releases/2/config-vars": `{"A":"2"}`,
		audits: `[{"action":"app.create"},{"action":"build.create"},{"action":"release.create"},{"action":"release.create"},{"action":"other"}]`,

		"/apps/b-default/audits": `[{"action":"app.create"}]`,
	}
	check := func(d *daemon) error { return d.checkLedger(t.Context(), twoApps()) }
	plantEach(t, answers, check, map[string]string{
		"an old release's config changed": first + `: "1" → "2"`,
		"an old release's config is lost": first + `: "A":"1" → `,
		"a config var came to it":         first + `: { → {"B":"1",`,
		"a release without an audit":      audits + `: {"action":"release.create"}, → `,
		"an audit too many":               audits + `: [ → [{"action":"release.create"},`,
		"a build without an audit":        audits + ": build.create → build.made",
		"an app without an audit":         "/apps/b-default/audits: app.create → app.update",
		"an app of the same name before":  audits + `: [ → [{"action":"app.create"},`,
		"the audits cannot be read":       audits + ":  → broken",
	})
}

// TestChaos_noticesTraces plants faults in what the cluster has of apps beside their jobs.
func TestChaos_noticesTraces(t *testing.T) {
	t.Parallel()
	type traces struct {
		containers          map[string][]string
		services, variables map[string]int
	}
	made := func() traces {
		return traces{map[string][]string{"a-default": {"1", "2"}}, map[string]int{"a-default": 2}, map[string]int{"a-default": 1}}
	}
	judge := func(c traces) error { return tracesDiffer(twoApps(), c.containers, c.services, c.variables) }
	if err := judge(made()); err != nil {
		t.Error(err)
	}
	for what, plant := range map[string]func(traces){
		"a container is missing":           func(c traces) { c.containers["a-default"] = []string{"1"} },
		"a container too many":             func(c traces) { c.containers["a-default"] = []string{"1", "2", "3"} },
		"a container of a deleted app":     func(c traces) { c.containers["c-default"] = []string{"4"} },
		"a container of an app without":    func(c traces) { c.containers["b-default"] = []string{"4"} },
		"an instance is missing":           func(c traces) { c.services["a-default"] = 1 },
		"an instance too many":             func(c traces) { c.services["a-default"] = 3 },
		"an instance of a deleted app":     func(c traces) { c.services["c-default"] = 1 },
		"no variable":                      func(c traces) { delete(c.variables, "a-default") },
		"an old variable is kept":          func(c traces) { c.variables["a-default"] = 2 },
		"a variable of a deleted app":      func(c traces) { c.variables["c-default"] = 1 },
		"two variables of one without job": func(c traces) { c.variables["b-default"] = 2 },
	} {
		c := made()
		plant(c)
		if judge(c) == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesCuts plants writes that were cut off and are there by halves.
func TestChaos_noticesCuts(t *testing.T) {
	t.Parallel()
	with := func() world {
		w := twoApps()
		w["a-default"].Builds = append(w["a-default"].Builds, worldBuild{Image: "i"})
		w["a-default"].release(2, w["a-default"].Config, "Deploy i")
		return w
	}
	for _, want := range []bool{false, true} {
		got := map[bool]world{false: twoApps(), true: with()}[want]
		if made, err := wasMade(got, twoApps(), with()); err != nil || made != want {
			t.Errorf("a write, made %t: got %t, %v", want, made, err)
		}
	}
	for what, plant := range map[string]func(w world){
		"a build without its release":   func(w world) { w["a-default"].Releases = w["a-default"].Releases[:2] },
		"a release without its build":   func(w world) { w["a-default"].Builds = w["a-default"].Builds[:1] },
		"made, and another app is lost": func(w world) { delete(w, "b-default") },
		"made twice":                    func(w world) { w["a-default"].release(2, w["a-default"].Config, "Deploy i") },
	} {
		got := with()
		plant(got)
		if _, err := wasMade(got, twoApps(), with()); err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
	config := map[string]string{"A": "1", "B": "2"}
	if missing := lacks([]string{"PATH=/", "A=1", "B=2"}, config); len(missing) > 0 {
		t.Errorf("a dyno with its config lacks %q", missing)
	}
	for what, env := range map[string][]string{"one is missing": {"A=1"}, "an old value": {"A=1", "B=1"}, "another's name": {"A=1", "BB=2"}, "nothing": nil} {
		if len(lacks(env, config)) == 0 {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesViews plants faults in what is shown of an app beside what Nomad says.
func TestChaos_noticesViews(t *testing.T) {
	t.Parallel()
	alloc := func(id, node, desired, status string) *nomadapi.AllocationListStub {
		return &nomadapi.AllocationListStub{ID: id, NodeName: node, DesiredStatus: desired, ClientStatus: status}
	}
	allocs := []*nomadapi.AllocationListStub{
		alloc("1", "n1", "run", "running"), alloc("2", "n2", "run", "unknown"), alloc("3", "n1", "stop", "running"), alloc("4", "n1", "run", "lost"),
	}
	show := func(id, node, state string) sighting { return sighting{dyno: dyno{ID: id, State: state}, Node: node} }
	shown := []sighting{show("2", "n2", "waiting"), show("3", "n1", "stopping"), show("1", "n1", "running"), show("9", "n1", "stopped")}
	if err := viewDiffers(allocs, shown, ""); err != nil {
		t.Error(err)
	}
	if viewDiffers(allocs, shown, "3") == nil {
		t.Error("a view that is called old: not noticed")
	}
	for what, list := range map[string][]sighting{
		"nothing is shown":         nil,
		"one is missing":           shown[:2],
		"one that is lost":         append(slices.Clone(shown), show("4", "n1", "running")),
		"one that is told to stop": append(slices.Clone(shown), show("3", "n1", "running")),
		"one on another node":      append(slices.Clone(shown[:2]), show("1", "n2", "running")),
		"one that does not run":    append(slices.Clone(shown[:2]), show("1", "n1", "pending")),
		"an old one in its place":  append(slices.Clone(shown[:2]), show("0", "n1", "running")),
		"one that is disconnected": append(slices.Clone(shown[1:]), show("2", "n2", "running")),
	} {
		if viewDiffers(allocs, list, "") == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesClocks plants runs of a schedule and times of a clock that are wrong.
func TestChaos_noticesClocks(t *testing.T) {
	t.Parallel()
	runs := func(minutes ...int) (slots []slot) {
		for _, m := range minutes {
			slots = append(slots, slot{ScheduledAt: time.Unix(int64(60*m), 0)})
		}
		return slots
	}
	now := time.Unix(1_000_000, 0)
	for what, err := range map[string]error{
		"runs of three minutes": minutesDiffer(runs(1, 2, 180), 1), "a clock that is right": clockDiffers(now.Add(50*time.Second), now),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"a minute run twice":       minutesDiffer(runs(1, 2, 2), 1),
		"minutes are made up for":  minutesDiffer(runs(1, 2, 3, 4, 5), 1),
		"a clock that was not set": clockDiffers(now, now.Add(3*time.Hour)),
		"a clock that is behind":   clockDiffers(now, now.Add(2*time.Minute)),
		"a clock that is ahead":    clockDiffers(now.Add(2*time.Minute), now),
	} {
		if err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesAnswers changes everything that the model says of answers, one thing after the other, and takes it away: that must be noticed.
// What it does not know may be there.
func TestChaos_noticesAnswers(t *testing.T) {
	t.Parallel()
	w := twoApps()
	n := 0
	for _, name := range []string{"a-default", "b-default", "c-default"} {
		for _, q := range w.questions(name) {
			var answer any
			if err := json.Unmarshal([]byte(marshal(q.want)), &answer); err != nil {
				t.Fatal(err)
			}
			if diff := answerDiffers([]byte(marshal(answer)), q.want); diff != "" {
				t.Errorf("%s: what is as it should be is said to be wrong: %s", q.path, diff)
			}
			eachFault(answer, func(replaced any, put func(any), what string) {
				put(replaced)
				if answerDiffers([]byte(marshal(answer)), q.want) == "" {
					t.Errorf("%s: %s: not noticed in %s", q.path, what, marshal(answer))
				}
				n++
			})
		}
	}
	if n < 150 {
		t.Errorf("only %d faults were planted", n)
	}
	unknown := strings.Replace(marshal(w.saysApp("a-default")), "{", `{"created_at":"now",`, 1)
	if diff := answerDiffers([]byte(unknown), w.saysApp("a-default")); diff != "" {
		t.Error(diff)
	}
	for what, text := range map[string]string{"no JSON": "<html>", "nothing": "", "an error": `{"id":"internal"}`, "null": "null"} {
		if answerDiffers([]byte(text), w.saysApp("a-default")) == "" {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// eachFault plants faults in what JSON was decoded to, and gives each to try: with what to put in place of a value, and a way to do so. All is
// as it was afterwards.
func eachFault(v any, try func(fault any, put func(any), what string)) {
	visit := func(value any, at string, put func(any)) {
		other := map[bool]any{true: "other", false: nil}[value == nil]
		for _, fault := range []any{other, "another", 77.0, value != true} {
			try(fault, put, at+" is another")
		}
		put(value)
		eachFault(value, try)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value := v[name]
			visit(value, name, func(x any) { v[name] = x })
			delete(v, name)
			try(nil, func(any) {}, name+" is missing")
			v[name] = value
		}
	case []any:
		for i, value := range v {
			visit(value, "a place", func(x any) { v[i] = x })
		}
		if len(v) > 1 {
			v[0], v[1] = v[1], v[0]
			try(nil, func(any) {}, "the order")
			v[0], v[1] = v[1], v[0]
		}
	}
}

// TestChaos_noticesRefusals plants writes that are answered otherwise than they ended.
func TestChaos_noticesRefusals(t *testing.T) {
	t.Parallel()
	before, after := twoApps(), twoApps()
	after["a-default"].Description = "new"
	a := act{says: func(_, w world) any { return w.saysApp("a-default") }}
	right, old := marshal(after.saysApp("a-default")), marshal(before.saysApp("a-default"))
	for what, err := range map[string]error{
		"the new app":       answered(a, 200, []byte(right), nil, before, after),
		"a conflict":        answered(a, 409, []byte(`{"id":"conflict","message":"It is in maintenance."}`), nil, before, after),
		"an answer cut off": answered(a, 200, []byte(right[:9]), io.ErrUnexpectedEOF, before, after),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"the app as it was":        answered(a, 200, []byte(old), nil, before, after),
		"a conflict that is none":  answered(a, 409, []byte(`{"id":"invalid_params"}`), nil, before, after),
		"a refusal without reason": answered(a, 404, []byte(`{}`), nil, before, after),
		"a success for a refusal":  answered(a, 422, []byte(right), nil, before, after),
		"half an answer":           answered(a, 200, []byte(right[:9]), nil, before, after),
	} {
		if err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// TestChaos_noticesStrangers touches a job that is not ours, and what runs of it.
func TestChaos_noticesStrangers(t *testing.T) {
	t.Parallel()
	job := func(version, index uint64, stop bool) *nomadapi.Job {
		return &nomadapi.Job{Version: &version, JobModifyIndex: &index, Stop: &stop}
	}
	started := time.Unix(1_000_000, 0)
	alloc := func(id, desired string, restarts uint64, since time.Time) *nomadapi.AllocationListStub {
		state := &nomadapi.TaskState{State: "running", StartedAt: since, Restarts: restarts}
		return &nomadapi.AllocationListStub{ID: id, DesiredStatus: desired, ClientStatus: "running", TaskStates: map[string]*nomadapi.TaskState{"t": state}}
	}
	of := func(j *nomadapi.Job, allocs ...*nomadapi.AllocationListStub) ofStranger { return ofStranger{j, allocs} }
	same := alloc("1", "run", 0, started)
	before := of(job(1, 5, false), same)
	if err := touched(before, of(job(1, 5, false), alloc("1", "run", 0, started))); err != nil || len(before.runs()) != 1 {
		t.Errorf("%q: %v", before.runs(), err)
	}
	for what, after := range map[string]ofStranger{
		"registered again": of(job(1, 6, false), same), "another version": of(job(2, 5, false), same), "stopped": of(job(1, 5, true), same),
		"replaced":     of(job(1, 5, false), alloc("2", "run", 0, started)),
		"one more":     of(job(1, 5, false), same, alloc("2", "run", 0, started)),
		"one waits":    of(job(1, 5, false), same, &nomadapi.AllocationListStub{ID: "2", ClientStatus: "pending"}),
		"gone":         of(job(1, 5, false)),
		"told to stop": of(job(1, 5, false), alloc("1", "stop", 0, started)),
		"restarted":    of(job(1, 5, false), alloc("1", "run", 1, started)),
		"started anew": of(job(1, 5, false), alloc("1", "run", 0, started.Add(time.Second))),
	} {
		if touched(before, after) == nil {
			t.Errorf("a stranger's job %s: not noticed", what)
		}
	}
}
