package server_test

import (
	"strings"
	"testing"

	"github.com/dynomad/dynomad"
)

const heroku = "application/vnd.heroku+json; version=3"

// TestRuns follows a one-off dyno from its request to its stop, under all its names and in both dialects.
func TestRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const dynos = "/apps/api-default/dynos"
	made := w.must(201, "POST", dynos, `{"command":"echo 'hi'","env":{"A":"hidden-config"},"time_to_live":"60","force_no_tty":true}`)
	run := made.object(t)
	equal(t, "made", run, map[string]any{
		"name": "run.1001", "type": "run", "command": "echo 'hi'", "size": "gp2", "state": "waiting", "exit_code": nil, "attach_url": "",
	})
	if strings.Contains(made.body, "hidden-config") {
		t.Errorf("the answer has the environment: %s", made.body)
	}
	for _, key := range []string{"run.1001", run["id"].(string)} {
		equal(t, key, w.must(200, "GET", dynos+"/"+key, "").object(t), map[string]any{"id": run["id"]})
		equal(t, key, w.must(200, "GET", dynos+"/"+key, "", "Accept", heroku).object(t), map[string]any{"name": "run.1001", "state": "starting"})
	}
	before := len(w.must(200, "GET", dynos, "").list(t))
	equal(t, "stop", w.must(202, "POST", dynos+"/run.1001/actions/stop", "").object(t), map[string]any{"type": "run", "status": "pending"})
	equal(t, "stopped", w.must(200, "GET", dynos+"/run.1001", "").object(t), map[string]any{"state": "stopping"})
	w.must(202, "DELETE", dynos+"/run.1001", "") // once more
	w.must(202, "DELETE", dynos, "")             // of which it is none
	if got := len(w.must(200, "GET", dynos, "").list(t)); got != before {
		t.Errorf("%d dynos, were %d", got, before)
	}
	audits := w.must(200, "GET", "/apps/api-default/audits", "").body
	for _, part := range []string{`"dyno.create"`, "run.1001", "echo 'hi'", `"dyno.stop"`, "Stopped run.1001."} {
		if !strings.Contains(audits, part) {
			t.Errorf("the audits lack %s", part)
		}
	}
	if strings.Contains(audits+w.logs.String(), "hidden-config") {
		t.Error("the audits or the log have the environment")
	}
}

// TestRuns_ofType runs a one-off type, whose options the request's own fields win over.
func TestRuns_ofType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(200, "PATCH", formation+"/migrate", `{"command":"rake db:migrate","size":"gp1","options":{"image":"tool:1","env":{"A":"type","B":"type"}}}`)
	equal(t, "as the type says", w.must(201, "POST", "/apps/api-default/dynos", `{"type":"migrate"}`).object(t),
		map[string]any{"type": "migrate", "name": "migrate.1001", "command": "rake db:migrate", "size": "gp1"})
	equal(t, "as the request says", w.must(201, "POST", "/apps/api-default/dynos",
		`{"type":"migrate","command":"ls $A","size":"gp3","image":"other:2","env":{"B":7}}`, "Accept", heroku).object(t),
		map[string]any{"name": "migrate.1002", "command": "ls $A", "size": "gp3"})
	app := w.must(200, "GET", "/apps/api-default", "").object(t)["id"].(string)
	wanted, err := w.store.AppRuns(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	first, second := wanted.Runs[0], wanted.Runs[1]
	if first.Image != "tool:1" || first.Env["A"]+first.Env["B"] != "typetype" || first.Shell || !first.Deadline.IsZero() {
		t.Errorf("the first is %+v", first)
	}
	if second.Image != "other:2" || second.Env["A"]+second.Env["B"] != "type7" || !second.Shell {
		t.Errorf("the second is %+v", second)
	}
}

// TestRuns_withoutRelease needs an image where no release gives one.
func TestRuns_withoutRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(201, "POST", "/apps", `{"name":"fresh"}`)
	a := w.must(409, "POST", "/apps/fresh-default/dynos", `{"command":"ls"}`)
	if !strings.Contains(a.body, "make a build first, or name an image") {
		t.Errorf("got %s", a.body)
	}
	run := w.must(201, "POST", "/apps/fresh-default/dynos", `{"command":"ls","image":"docker://tool:1","attach":true}`).object(t)
	if release := run["release"].(map[string]any); release["id"] != nil || release["version"] != 0.0 {
		t.Errorf("its release is %v", release)
	}
	state, err := w.store.AppState(t.Context(), "fresh-default")
	if err != nil || state.Runs[0].TimeToLive() != dynomad.MaxTimeToLive*1e9 {
		t.Errorf("the time to live is %v, %v", state.Runs[0].TimeToLive(), err)
	}
}
