package server_test

import (
	"testing"

	"github.com/dynomad/dynomad"
)

// formationFields are the fields of a dyno type in the document Formations.
var formationFields = []string{"app", "command", "created_at", "id", "quantity", "size", "type", "port", "updated_at"}

// has checks that an answer has fields, whatever their values.
func has(t *testing.T, what string, answer map[string]any, fields ...string) {
	t.Helper()
	for _, field := range fields {
		if _, ok := answer[field]; !ok {
			t.Errorf("%s: the field %s is missing: %v", what, field, answer)
		}
	}
}

// equal checks values of an answer; numbers are float64.
func equal(t *testing.T, what string, answer, want map[string]any) {
	t.Helper()
	for field, value := range want {
		if answer[field] != value {
			t.Errorf("%s: %s is %v, want %v", what, field, answer[field], value)
		}
	}
}

// TestDocument_formations sends every example of the document Formations, in its order.
func TestDocument_formations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(201, "POST", "/apps", `{"name":"app"}`)
	const app = "/apps/app-default/formation"
	web := map[string]any{"command": nil, "quantity": 1.0, "size": "gp2", "type": "web", "port": 9000.0, "healthcheck": nil}

	created := w.must(200, "POST", app, `{"size":"gp2", "quantity":1, "type":"web", "command":null, "healthcheck":null}`).object(t)
	has(t, "create", created, formationFields...)
	equal(t, "create", created, web)
	one := w.must(200, "GET", app+"/web", "").object(t)
	has(t, "info", one, formationFields...)
	equal(t, "info", one, web)
	equal(t, "by id", w.must(200, "GET", app+"/"+one["id"].(string), "").object(t), web)

	sizes := w.must(200, "GET", "/sizes", "").list(t)
	for _, size := range sizes {
		resources := size["resources"].(map[string]any)
		has(t, "size", resources["requests"].(map[string]any), "memory", "cpu")
		has(t, "size", resources["limits"].(map[string]any), "memory")
	}
	if len(sizes) != 10 || sizes[0]["name"] != "gp1" {
		t.Errorf("%d sizes, first %v", len(sizes), sizes[0]["name"])
	}

	list := w.must(200, "GET", app, "").list(t)
	if len(list) != 1 {
		t.Fatalf("the formation has %d types", len(list))
	}
	has(t, "list", list[0], formationFields...)
	batch := w.must(200, "PATCH", app, `[{"size":"gp2", "quantity":1, "type":"web"}]`).list(t)
	has(t, "batch", batch[0], formationFields...)
	equal(t, "batch", batch[0], web)

	// The document's own body ends in a stray bracket.
	if a := w.ask(rootToken, "PATCH", app+"/web", `{"size":"gp2", "quantity":1}]`); a.status != 400 {
		t.Errorf("a stray bracket: %d", a.status)
	}
	equal(t, "update", w.must(200, "PATCH", app+"/web", `{"size":"gp2", "quantity":1}`).object(t), web)

	oneoff := w.must(200, "POST", app, `{"size":"gp2","quantity":1,"type":"job","oneoff":true,
		"options":{ "env": { "key": "value" }, "image": "hello-world:latest" }}`).object(t)
	equal(t, "one-off", oneoff, map[string]any{"oneoff": true, "port": nil})
	env := oneoff["options"].(map[string]any)["env"].(map[string]any)
	if oneoff["options"].(map[string]any)["image"] != "hello-world:latest" || env["key"] != "value" {
		t.Errorf("options %v", oneoff["options"])
	}

	w.must(200, "POST", app, `{"type":"worker","command":"npm start"}`)
	if a := w.ask(tokenFor(dynomad.ScopeRead, "any"), "DELETE", app+"/worker", ""); a.status != 403 {
		t.Errorf("delete by a token that may only read: %d", a.status)
	}
	has(t, "delete", w.must(200, "DELETE", app+"/worker", "").object(t), formationFields...)
	w.must(404, "GET", app+"/worker", "")
}

// TestDocument_formationFields walks through the fields of the document's tables.
func TestDocument_formationFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const web, worker = formation + "/web", formation + "/worker"
	steps := []struct {
		path, body string
		want       map[string]any
	}{
		{web, `{"quantity":"3"}`, map[string]any{"quantity": 3.0}},
		{web, `{"quantity":"+2"}`, map[string]any{"quantity": 5.0}},
		{web, `{"quantity":"-1"}`, map[string]any{"quantity": 4.0}},
		{web, `{"quantity":0}`, map[string]any{"quantity": 0.0}},
		{web, `{"quantity":20}`, map[string]any{"quantity": 20.0}},
		{web, `{"port":"8080"}`, map[string]any{"port": 8080.0, "quantity": 20.0}},
		{web, `{"port":1024,"size":"mp1"}`, map[string]any{"port": 1024.0, "size": "mp1"}},
		{web, `{"dyno_size":{"name":"gp1"}}`, map[string]any{"size": "gp1"}},
		{web, `{"dyno_size":{"id":"bfc860e2-141d-89a2-9b8b-a5eb54d9ecd7"}}`, map[string]any{"size": "gp3"}},
		{web, `{"healthcheck":"/health?a=b"}`, map[string]any{"healthcheck": "/health?a=b"}},
		{web, `{}`, map[string]any{"healthcheck": "/health?a=b", "port": 1024.0, "size": "gp3"}},
		{web, `{"removeHealthcheck":true}`, map[string]any{"healthcheck": nil}},
		{web, `{"healthcheck":"/x"}`, map[string]any{"healthcheck": "/x"}},
		{web, `{"remove-healthcheck":true}`, map[string]any{"healthcheck": nil}},
		{web, `{"healthcheck":"/x"}`, map[string]any{"healthcheck": "/x"}},
		{web, `{"healthcheck":null}`, map[string]any{"healthcheck": nil}},
		{web, `{"command":"npm start"}`, map[string]any{"command": "npm start"}},
		{web, `{"command":null}`, map[string]any{"command": nil}},
		{web, `{"command":"npm start"}`, map[string]any{"command": "npm start"}},
		{web, `{"remove-command":true}`, map[string]any{"command": nil}},
		{web, `{"command":"  "}`, map[string]any{"command": nil}},
		{web, `{"command":"sh -c 'a && b # $X' #literal"}`, map[string]any{"command": "sh -c 'a && b # $X' #literal"}},
		{worker, `{"quantity":"+1"}`, map[string]any{"quantity": 3.0, "command": "node worker.js"}},
		{worker, `{"unknown":true,"Quantity":9,"QUANTITY":"x"}`, map[string]any{"quantity": 3.0}},
		{worker, `{"quantity":1,"quantity":4}`, map[string]any{"quantity": 4.0}},
		{worker, `{"type":"web","quantity":5}`, map[string]any{"type": "worker", "quantity": 5.0}},
	}
	for _, step := range steps {
		equal(t, step.body, w.must(200, "PATCH", step.path, step.body).object(t), step.want)
	}
	both := w.must(200, "PATCH", formation, `[{"type":"worker","quantity":1},{"type":"web","quantity":2}]`).list(t)
	if len(both) != 2 || both[0]["type"] != "worker" || both[1]["type"] != "web" {
		t.Errorf("the batch is not answered in its order: %v", both)
	}
	if got := w.must(200, "PATCH", formation, `[]`).body; got != "[]\n" {
		t.Errorf("an empty batch: %s", got)
	}
	if got := w.must(200, "PATCH", formation, `{"updates":[{"type":"web","quantity":"+1"}]}`).list(t); got[0]["quantity"] != 3.0 {
		t.Errorf("Heroku's batch: %v", got)
	}
}

// TestDocument_dynos sends the reading examples of the document Dynos.
func TestDocument_dynos(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fields := []string{
		"attach_url", "command", "created_at", "id", "name", "release", "app", "size", "state", "ready", "type",
		"additional_info", "updated_at", "restarts", "exit_code", "node", "nomad_url",
	}
	want := map[string]any{
		"attach_url": "", "command": "npm start", "created_at": "2016-09-27T16:27:20.000Z", "id": seedDynoID,
		"name": seedDynoName, "size": "gp2", "state": "running", "ready": true, "type": "web", "additional_info": "",
		"updated_at": "2016-09-27T16:27:21.000Z",
	}
	list := w.must(200, "GET", "/apps/api-default/dynos", "").list(t)
	if len(list) != 4 {
		t.Fatalf("%d dynos", len(list))
	}
	for _, dyno := range list {
		has(t, "list", dyno, fields...)
	}
	equal(t, "list", list[0], want)
	order := []string{"web", "web", "worker", "worker"}
	for i, dyno := range list {
		if dyno["type"] != order[i] {
			t.Errorf("dyno %d is a %v", i, dyno["type"])
		}
	}
	release := list[0]["release"].(map[string]any)
	if release["version"] != 2.0 || release["id"] == nil {
		t.Errorf("release %v", release)
	}
	for _, key := range []string{seedDynoID, seedDynoName, "web." + seedDynoName, "web.1"} {
		for _, path := range []string{"/apps/api-default/dyno/", "/apps/api-default/dynos/"} {
			equal(t, path+key, w.must(200, "GET", path+key, "").object(t), want)
		}
	}
	if got := w.must(200, "GET", "/apps/shop-team/dynos", "").body; got != "[]\n" {
		t.Errorf("no dynos: %s", got)
	}
	ending := w.must(200, "GET", "/apps/api-default/dynos/2281474389-1cu1p", "", "Accept", "application/vnd.heroku+json; version=3")
	equal(t, "by Heroku", ending.object(t), map[string]any{"state": "down", "name": "web.1"})
}

// TestRollback checks that a rollback is a new release with the old slug and the old config vars.
func TestRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(200, "PATCH", configVars, `{"COLOR":"red","N":12,"T":true,"F":1.50}`)
	if got := w.must(200, "GET", releases+"/3/config-vars", "").object(t); got["COLOR"] != "hidden-config" || len(got) != 1 {
		t.Errorf("config vars of v3: %v", got)
	}
	rolled := w.must(201, "POST", releases, `{"release":"v3"}`).object(t)
	equal(t, "rollback", rolled, map[string]any{"version": 5.0, "description": "Rollback to v3"})
	if got := w.must(200, "GET", configVars, "").object(t); got["COLOR"] != "hidden-config" || len(got) != 1 {
		t.Errorf("config vars after the rollback: %v", got)
	}
	equal(t, "numbers", w.must(200, "GET", releases+"/4/config-vars", "").object(t), map[string]any{"N": "12", "T": "true", "F": "1.50"})
	last := w.must(200, "GET", releases, "").list(t)
	if n := len(last); n != 5 || last[n-1]["version"] != 5.0 {
		t.Errorf("%d releases, the last is %v", n, last[n-1]["version"])
	}
	w.must(200, "PATCH", "/apps/api-default/features/auto-release", `{"enabled":false}`)
	w.must(200, "PATCH", "/apps/api-default/features/http2", `{"enabled":true}`)
	build := w.must(201, "POST", builds, `{"url":"nginx:2"}`).object(t)
	if build["release"] != nil || len(w.must(200, "GET", releases, "").list(t)) != 5 {
		t.Errorf("released with auto-release off: %v", build["release"])
	}
}

// TestDeleted checks what is left of an app that was deleted.
func TestDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	equal(t, "delete", w.must(200, "DELETE", "/apps/api-default", "").object(t), map[string]any{"name": "api-default"})
	w.must(404, "GET", "/apps/api-default", "")
	w.must(404, "GET", "/apps/api-default/audits", "")
	w.must(200, "GET", "/slugs/"+apiBuild, "")
	audits := w.must(200, "GET", "/audits?app=api-default", "").list(t)
	if n := len(audits); n == 0 || audits[n-1]["action"] != "app.delete" {
		t.Errorf("audits %v", audits)
	}
	byID := w.must(200, "GET", "/audits?app=00000000-0000-4000-8000-000000000201", "").list(t)
	if len(byID) != len(audits) {
		t.Errorf("%d audits by name, %d by id", len(audits), len(byID))
	}
	w.must(201, "POST", "/apps", `{"name":"API"}`)
	if got := w.must(200, "GET", "/favorites", "").body; got != "[]\n" {
		t.Errorf("favorites %s", got)
	}
}
