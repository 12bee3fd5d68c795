package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	formation  = "/apps/api-default/formation"
	configVars = "/apps/api-default/config-vars"
	builds     = "/apps/api-default/builds"
	releases   = "/apps/api-default/releases"
	tokens     = "/oauth/authorizations"
)

// refusal is a request that is refused, and changes nothing.
type refusal struct {
	method, path, body string
	status             int
	field              string
}

func TestRefusals_bodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	targets := []struct{ method, path string }{
		{"POST", "/apps"},
		{"PATCH", "/apps/api-default"},
		{"POST", "/spaces"},
		{"POST", formation},
		{"PATCH", formation},
		{"PATCH", formation + "/web"},
		{"PATCH", configVars},
		{"PATCH", configVars + "/notes"},
		{"POST", builds},
		{"PUT", builds + "/" + apiBuild},
		{"POST", releases},
		{"PATCH", "/apps/api-default/features/auto-release"},
		{"POST", "/favorites"},
		{"DELETE", "/favorites"},
		{"POST", tokens},
	}
	bodies := []string{
		`{"name":`, `{"name":"x"} {}`, `name=x&space=y`, `"text"`, `17`, `true`, `null`, "{\"name\":\"\xff\"}", `{"name":'x'}`, "{}\x00",
	}
	for _, target := range targets {
		for _, body := range bodies {
			if a := w.ask(rootToken, target.method, target.path, body); a.status != 400 {
				t.Errorf("%s %s %q: %d %s", target.method, target.path, body, a.status, a.body)
			}
		}
		list := strings.HasSuffix(target.path, "formation") && target.method == "PATCH"
		if a := w.ask(rootToken, target.method, target.path, `[]`); (a.status == 400) == list {
			t.Errorf("%s %s []: %d", target.method, target.path, a.status)
		}
		if a := w.ask(rootToken, target.method, target.path, strings.Repeat(" ", 1<<20)+"{}"); a.status != 413 {
			t.Errorf("%s %s of over 1 MiB: %d", target.method, target.path, a.status)
		}
		for _, contentType := range []string{"multipart/form-data; boundary=x", "application/json; charset=latin1"} {
			if a := w.ask(rootToken, target.method, target.path, `{"name":"x"}`, "Content-Type", contentType); a.status != 415 {
				t.Errorf("%s %s as %s: %d", target.method, target.path, contentType, a.status)
			}
		}
	}
}

func TestRefusals_empty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, target := range []refusal{
		{"POST", "/apps", "", 400, ""},
		{"POST", "/spaces", "", 400, ""},
		{"POST", formation, "", 400, ""},
		{"PATCH", formation, "", 400, ""},
		{"POST", builds, "", 400, ""},
		{"POST", releases, "", 400, ""},
		{"PATCH", "/apps/api-default/features/auto-release", "", 400, ""},
		{"POST", "/favorites", "", 400, ""},
		{"DELETE", "/favorites", "", 400, ""},
		{"POST", tokens, "", 400, ""},
		{"PATCH", "/apps/api-default", "", 200, ""},
		{"PATCH", formation + "/web", "", 200, ""},
		{"PATCH", configVars, "", 200, ""},
		{"PATCH", configVars + "/notes", "", 200, ""},
		{"PATCH", "/apps/api-default", " \n", 200, ""},
	} {
		if a := w.ask(rootToken, target.method, target.path, target.body); a.status != target.status {
			t.Errorf("%s %s without a body: %d %s, want %d", target.method, target.path, a.status, a.body, target.status)
		}
	}
}

// refusals are all requests that break a rule of the contract.
func refusals() []refusal {
	return slices.Concat(appRefusals(), formationRefusals(), runRefusals(), otherRefusals())
}

func appRefusals() []refusal {
	const app = "/apps/api-default"
	return []refusal{
		{"POST", "/apps", `{}`, 422, "name"},
		{"POST", "/apps", `{"name":null}`, 422, "name"},
		{"POST", "/apps", `{"name":7}`, 422, "name"},
		{"POST", "/apps", `{"name":""}`, 422, "name"},
		{"POST", "/apps", `{"name":"with-dash"}`, 422, "name"},
		{"POST", "/apps", `{"name":"a b"}`, 422, "name"},
		{"POST", "/apps", `{"name":"é"}`, 422, "name"},
		{"POST", "/apps", `{"name":"a\u0000"}`, 422, "name"},
		{"POST", "/apps", `{"name":"abcdefghijklmnopq"}`, 422, "name"}, // 25 with "-default"
		{"POST", "/apps", `{"name":"x","space":"No!"}`, 422, "space"},
		{"POST", "/apps", `{"name":"x","space":["default"]}`, 422, "space"},
		{"POST", "/apps", `{"name":"x","space":"nowhere"}`, 404, ""},
		{"POST", "/apps", `{"name":"api"}`, 409, ""},
		{"POST", "/apps", `{"name":"API","space":"default"}`, 409, ""},
		{"POST", "/apps", `{"name":"x","description":{}}`, 422, "description"},
		{"POST", "/apps", `{"name":"x","description":"a\u0000b"}`, 422, "description"},
		{"POST", "/apps", `{"name":"x","labels":"` + strings.Repeat("l", 11<<10) + `"}`, 422, "labels"},
		{"POST", "/apps", `{"name":"x","org":1}`, 422, "org"},
		{"PATCH", app, `{"maintenance":"true"}`, 422, "maintenance"},
		{"PATCH", app, `{"maintenance":1}`, 422, "maintenance"},
		{"PATCH", app, `{"description":1}`, 422, "description"},
		{"PATCH", app, `{"name":"renamed"}`, 422, "name"},
		{"PATCH", "/apps/nothere-default", `{"maintenance":true}`, 404, ""},
		{"PATCH", "/apps/API-DEFAULT", `{"maintenance":true}`, 404, ""},
		{"GET", "/apps/api", "", 404, ""},
		{"GET", "/apps/Api-default", "", 404, ""},
		{"DELETE", "/apps/nothere-default", "", 404, ""},
		{"POST", "/spaces", `{}`, 422, "name"},
		{"POST", "/spaces", `{"name":"-x"}`, 422, "name"},
		{"POST", "/spaces", `{"name":"X"}`, 422, "name"},
		{"POST", "/spaces", `{"name":"x_y"}`, 422, "name"},
		{"POST", "/spaces", `{"name":"team"}`, 409, ""},
		{"POST", "/spaces", `{"name":"x","nomad_namespace":"a b"}`, 422, "nomad_namespace"},
		{"POST", "/spaces", `{"name":"x","nomad_namespace":1}`, 422, "nomad_namespace"},
		{"DELETE", "/spaces/team", "", 409, ""},
		{"DELETE", "/spaces/default", "", 409, ""},
		{"DELETE", "/spaces/nowhere", "", 404, ""},
		{"GET", "/spaces/nowhere", "", 404, ""},
		{"GET", "/dyno-sizes/huge", "", 404, ""},
	}
}

func formationRefusals() []refusal {
	const web, worker, migrate = formation + "/web", formation + "/worker", formation + "/migrate"
	return []refusal{
		{"POST", formation, `{}`, 422, "type"},
		{"POST", formation, `{"type":7}`, 422, "type"},
		{"POST", formation, `{"type":"Web!"}`, 422, "type"},
		{"POST", formation, `{"type":"WEB"}`, 422, "type"},
		{"POST", formation, `{"type":"a-b"}`, 422, "type"},
		{"POST", formation, `{"type":"run"}`, 422, "type"},
		{"POST", formation, `{"type":"` + strings.Repeat("a", 33) + `"}`, 422, "type"},
		{"POST", formation, `{"type":"web"}`, 409, ""},
		{"POST", formation, `{"type":"x","size":"huge"}`, 422, "size"},
		{"POST", formation, `{"type":"x","size":2}`, 422, "size"},
		{"POST", formation, `{"type":"x","dyno_size":{"name":"huge"}}`, 422, "dyno_size"},
		{"POST", formation, `{"type":"x","dyno_size":{}}`, 422, "dyno_size"},
		{"POST", formation, `{"type":"x","dyno_size":"gp2"}`, 422, "dyno_size"},
		{"POST", formation, `{"type":"x","size":"gp1","dyno_size":{"name":"gp2"}}`, 422, "dyno_size"},
		{"POST", formation, `{"type":"x","quantity":-1}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":"-1"}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":"+1"}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":21}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":"21"}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":"abc"}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":1.5}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":3.0}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":1e400}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","quantity":true}`, 422, "quantity"},
		{"POST", formation, `{"type":"x","port":9000}`, 422, "port"},
		{"POST", formation, `{"type":"x","healthcheck":"/"}`, 422, "healthcheck"},
		{"POST", formation, `{"type":"x","oneoff":"true"}`, 422, "oneoff"},
		{"POST", formation, `{"type":"x","oneoff":true,"schedule":"* * * * *"}`, 422, "oneoff"},
		{"POST", formation, `{"type":"x","schedule":"@daily"}`, 422, "schedule"},
		{"POST", formation, `{"type":"x","schedule":"61 * * * *"}`, 422, "schedule"},
		{"POST", formation, `{"type":"x","schedule":"0 0 31 2 *"}`, 422, "schedule"},
		{"POST", formation, `{"type":"x","schedule":5}`, 422, "schedule"},
		{"POST", formation, `{"type":"x","options":[]}`, 422, "options"},
		{"POST", formation, `{"type":"x","options":{"env":{"A":{}}}}`, 422, "options"},
		{"POST", formation, `{"type":"x","options":{"env":{"1A":"x"}}}`, 422, "options"},
		{"POST", formation, `{"type":"x","options":{"env":{"A":"\u0000"}}}`, 422, "options"},
		{"POST", formation, `{"type":"x","options":{"env":{"PORT":"1"}}}`, 409, ""},
		{"POST", formation, `{"type":"x","options":{"image":"untagged"}}`, 422, "options"},
		{"POST", formation, `{"type":"x","command":"echo 'open"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"echo \"open"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"a && b"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"a; b"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"echo $X"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"a | b"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"a > b"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":"(a)"}`, 422, "command"},
		{"POST", formation, "{\"type\":\"x\",\"command\":\"`a`\"}", 422, "command"},
		{"POST", formation, `{"type":"x","command":"a\u0000b"}`, 422, "command"},
		{"POST", formation, `{"type":"x","command":["a"]}`, 422, "command"},
		{"POST", "/apps/nothere-default/formation", `{"type":"x"}`, 404, ""},
		{"PATCH", web, `{"port":80}`, 422, "port"},
		{"PATCH", web, `{"port":65536}`, 422, "port"},
		{"PATCH", web, `{"port":"80"}`, 422, "port"},
		{"PATCH", web, `{"port":"web"}`, 422, "port"},
		{"PATCH", web, `{"port":9000.5}`, 422, "port"},
		{"PATCH", web, `{"port":true}`, 422, "port"},
		{"PATCH", web, `{"healthcheck":"health"}`, 422, "healthcheck"},
		{"PATCH", web, `{"healthcheck":"//evil"}`, 422, "healthcheck"},
		{"PATCH", web, `{"healthcheck":"http://x/"}`, 422, "healthcheck"},
		{"PATCH", web, `{"healthcheck":"/${attr.x}"}`, 422, "healthcheck"},
		{"PATCH", web, `{"healthcheck":"/a b"}`, 422, "healthcheck"},
		{"PATCH", web, `{"healthcheck":"/\u0000"}`, 422, "healthcheck"},
		{"PATCH", web, `{"healthcheck":true}`, 422, "healthcheck"},
		{"PATCH", web, `{"removeHealthcheck":"yes"}`, 422, "removeHealthcheck"},
		{"PATCH", web, `{"remove-healthcheck":1}`, 422, "remove-healthcheck"},
		{"PATCH", web, `{"remove-command":"yes"}`, 422, "remove-command"},
		{"PATCH", web, `{"quantity":null}`, 422, "quantity"},
		{"PATCH", web, `{"quantity":"-2"}`, 422, "quantity"},
		{"PATCH", web, `{"quantity":"+20"}`, 422, "quantity"},
		{"PATCH", web, `{"quantity":{}}`, 422, "quantity"},
		{"PATCH", web, `{"size":null}`, 422, "size"},
		{"PATCH", web, `{"size":"GP2"}`, 422, "size"},
		{"PATCH", web, `{"type":5}`, 422, "type"},
		{"PATCH", web, `{"oneoff":true}`, 422, "oneoff"},
		{"PATCH", web, `{"schedule":"* * * * *"}`, 422, "schedule"},
		{"PATCH", web, `[{"type":"web","quantity":2}]`, 400, ""},
		{"PATCH", worker, `{"port":9000}`, 422, "port"},
		{"PATCH", worker, `{"healthcheck":"/"}`, 422, "healthcheck"},
		{"PATCH", worker, `{"removeHealthcheck":true}`, 422, "removeHealthcheck"},
		{"PATCH", migrate, `{"options":"x"}`, 422, "options"},
		{"PATCH", migrate, `{"options":{"image":5}}`, 422, "options"},
		{"PATCH", formation + "/nothere", `{"quantity":1}`, 404, ""},
		{"PATCH", formation + "/WEB", `{"quantity":1}`, 404, ""},
		{"GET", formation + "/nothere", "", 404, ""},
		{"DELETE", formation + "/nothere", "", 404, ""},
		{"PATCH", formation, `[{"type":"web","quantity":1},{"type":"web","quantity":2}]`, 422, "type"},
		{"PATCH", formation, `[{"type":"web","quantity":5},{"type":"nothere","quantity":2}]`, 404, ""},
		{"PATCH", formation, `[{"type":"web","quantity":5},{"type":"worker","quantity":99}]`, 422, "quantity"},
		{"PATCH", formation, `[{"type":"web","quantity":5},{"type":"worker","size":"huge"}]`, 422, "size"},
		{"PATCH", formation, `{"updates":[{"type":"web","quantity":5},{"type":"worker","port":9000}]}`, 422, "port"},
		{"PATCH", formation, `[{"quantity":5}]`, 422, "type"},
		{"PATCH", formation, `[{"type":"Web!","quantity":5}]`, 404, ""},
		{"PATCH", formation, `[1]`, 422, "updates"},
		{"PATCH", formation, `[null]`, 422, "updates"},
		{"PATCH", formation, `[[]]`, 422, "updates"},
		{"PATCH", formation, `{}`, 422, "updates"},
		{"PATCH", formation, `{"updates":null}`, 422, "updates"},
		{"PATCH", formation, `{"updates":{"type":"web"}}`, 422, "updates"},
		{"PATCH", formation, `{"updates":[1]}`, 422, "updates"},
	}
}

func runRefusals() []refusal {
	const dynos = "/apps/api-default/dynos"
	long := strings.Repeat("x", 65<<10)
	return []refusal{
		{"POST", dynos, ``, 422, "command"},
		{"POST", dynos, `{}`, 422, "command"},
		{"POST", dynos, `[]`, 400, ""},
		{"POST", dynos, `{"command":null}`, 422, "command"},
		{"POST", dynos, `{"command":"  "}`, 422, "command"},
		{"POST", dynos, `{"command":["ls"]}`, 422, "command"},
		{"POST", dynos, `{"command":"a && b"}`, 422, "command"},
		{"POST", dynos, `{"command":"a\u0000b"}`, 422, "command"},
		{"POST", dynos, `{"command":"` + long + `"}`, 422, "command"},
		{"POST", dynos, `{"type":"run"}`, 422, "command"},
		{"POST", dynos, `{"type":"web"}`, 422, "type"},
		{"POST", dynos, `{"type":"worker","command":"ls"}`, 422, "type"},
		{"POST", dynos, `{"type":"nothere","command":"ls"}`, 422, "type"},
		{"POST", dynos, `{"type":7,"command":"ls"}`, 422, "type"},
		{"POST", dynos, `{"command":"ls","size":"huge"}`, 422, "size"},
		{"POST", dynos, `{"command":"ls","size":1}`, 422, "size"},
		{"POST", dynos, `{"command":"ls","dyno_size":{"name":"huge"}}`, 422, "dyno_size"},
		{"POST", dynos, `{"command":"ls","attach":"yes"}`, 422, "attach"},
		{"POST", dynos, `{"command":"ls","time_to_live":0}`, 422, "time_to_live"},
		{"POST", dynos, `{"command":"ls","time_to_live":-1}`, 422, "time_to_live"},
		{"POST", dynos, `{"command":"ls","time_to_live":86401}`, 422, "time_to_live"},
		{"POST", dynos, `{"command":"ls","time_to_live":1.5}`, 422, "time_to_live"},
		{"POST", dynos, `{"command":"ls","time_to_live":"soon"}`, 422, "time_to_live"},
		{"POST", dynos, `{"command":"ls","time_to_live":99999999999999999999}`, 422, "time_to_live"},
		{"POST", dynos, `{"command":"ls","env":[]}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"A":{}}}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"A":null}}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"1A":"x"}}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"A":"\u0000"}}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"A":"\ud800"}}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"A":"` + long + `"}}`, 422, "env"},
		{"POST", dynos, `{"command":"ls","env":{"PORT":"1"}}`, 409, ""},
		{"POST", dynos, `{"command":"ls","env":{"DYNO":"1"}}`, 409, ""},
		{"POST", dynos, `{"command":"ls","env":{"DYNOMAD_RELEASE":"1"}}`, 409, ""},
		{"POST", dynos, `{"command":"ls","image":7}`, 422, "image"},
		{"POST", dynos, `{"command":"ls","image":"untagged"}`, 422, "image"},
		{"POST", dynos, `{"command":"ls","image":"docker://u:p@host/repo:1"}`, 422, "image"},
		{"POST", "/apps/nothere-default/dynos", `{"command":"ls"}`, 404, ""},
		{"GET", dynos + "/run.1001", "", 404, ""},
		{"POST", dynos + "/run.1001/actions/stop", "", 404, ""},
	}
}

func otherRefusals() []refusal {
	const notes, feature = configVars + "/notes", "/apps/api-default/features/"
	return []refusal{
		{"PATCH", configVars, `{"A":{}}`, 422, "A"},
		{"PATCH", configVars, `{"A":[1]}`, 422, "A"},
		{"PATCH", configVars, `{"B":"fine","1A":"x"}`, 422, "1A"},
		{"PATCH", configVars, `{"A-B":"x"}`, 422, "A-B"},
		{"PATCH", configVars, `{"":"x"}`, 422, `""`},
		{"PATCH", configVars, `{"A":"a\u0000b"}`, 422, "A"},
		{"PATCH", configVars, `{"A":"\ud800"}`, 422, "A"},
		{"PATCH", configVars, `{"A":"` + strings.Repeat("x", 65<<10) + `"}`, 422, "A"},
		{"PATCH", configVars, `{"PORT":"1"}`, 409, ""},
		{"PATCH", configVars, `{"PORT":null}`, 409, ""},
		{"PATCH", configVars, `{"DYNO":"x"}`, 409, ""},
		{"PATCH", configVars, `{"DYNOMAD_APP":"x"}`, 409, ""},
		{"PATCH", configVars, `{"A":"fine","DYNOMAD_X":"x"}`, 409, ""},
		{"PATCH", "/apps/nothere-default/config-vars", `{"A":"x"}`, 404, ""},
		{"PATCH", notes, `{"COLOR":"x"}`, 422, "COLOR"},
		{"PATCH", notes, `{"COLOR":{"required":"x"}}`, 422, "required"},
		{"PATCH", notes, `{"COLOR":{"description":1}}`, 422, "description"},
		{"PATCH", notes, `{"COLOR":{"description":"\u0000"}}`, 422, "description"},
		{"PATCH", notes, `{"NOTHERE":{"required":true}}`, 422, "NOTHERE"},
		{"POST", builds, `{}`, 422, "url"},
		{"POST", builds, `{"url":7}`, 422, "url"},
		{"POST", builds, `{"url":"nginx"}`, 422, "url"},
		{"POST", builds, `{"url":"docker://docker.io/library/nginx"}`, 422, "url"},
		{"POST", builds, `{"url":"docker://user:pw@host/repo:1"}`, 422, "url"},
		{"POST", builds, `{"url":"user:pw@host/repo:1"}`, 422, "url"},
		{"POST", builds, `{"url":"https://host/source.tgz"}`, 422, "url"},
		{"POST", builds, `{"url":"data:base64,AAAA"}`, 422, "url"},
		{"POST", builds, `{"url":"nginx:1\u0000"}`, 422, "url"},
		{"POST", builds, `{"source_blob":{"url":7}}`, 422, "url"},
		{"POST", builds, `{"source_blob":"nginx:1"}`, 422, "source_blob"},
		{"POST", builds, `{"url":"nginx:1","sha":1}`, 422, "sha"},
		{"POST", builds, `{"url":"nginx:1","process_types":{"Web!":"x"}}`, 422, "process_types"},
		{"POST", builds, `{"url":"nginx:1","process_types":{"web":"a && b"}}`, 422, "process_types"},
		{"POST", builds, `{"url":"nginx:1","process_types":{"web":1}}`, 422, "process_types"},
		{"POST", builds, `{"url":"nginx:1","process_types":["web"]}`, 422, "process_types"},
		{"POST", builds, `{"url":"nginx:1","message":"a\u0000"}`, 422, "message"},
		{"GET", builds + "/nothere", "", 404, ""},
		{"GET", builds + "/nothere/result", "", 404, ""},
		{"PUT", builds + "/nothere", "", 404, ""},
		{"DELETE", builds + "/nothere", "", 404, ""},
		{"DELETE", builds + "/" + apiBuild, "", 409, ""},
		{"GET", "/slugs/nothere", "", 404, ""},
		{"POST", releases, `{}`, 422, "slug"},
		{"POST", releases, `{"slug":"` + apiBuild + `","release":"1"}`, 422, "release"},
		{"POST", releases, `{"slug":7}`, 422, "slug"},
		{"POST", releases, `{"release":true}`, 422, "release"},
		{"POST", releases, `{"release":1.5}`, 422, "release"},
		{"POST", releases, `{"slug":"latest"}`, 404, ""},
		{"POST", releases, `{"slug":"a\u0000"}`, 404, ""},
		{"POST", releases, `{"release":"99"}`, 404, ""},
		{"POST", releases, `{"release":-1}`, 404, ""},
		{"POST", releases, `{"slug":"` + apiBuild + `","description":5}`, 422, "description"},
		{"GET", releases + "/0", "", 404, ""},
		{"GET", releases + "/99/statuses", "", 404, ""},
		{"GET", releases + "/99/config-vars", "", 404, ""},
		{"GET", "/apps/api-default/dynos/web.9", "", 404, ""},
		{"GET", "/apps/api-default/dyno/nothere", "", 404, ""},
		{"GET", feature + "nothere", "", 404, ""},
		{"PATCH", feature + "nothere", `{"enabled":true}`, 404, ""},
		{"PATCH", feature + "auto-release", `{}`, 422, "enabled"},
		{"PATCH", feature + "auto-release", `{"enabled":"true"}`, 422, "enabled"},
		{"PATCH", feature + "auto-release", `{"enabled":null}`, 422, "enabled"},
		{"PATCH", feature + "http2", `{"enabled":false}`, 409, ""},
		{"POST", "/favorites", `{}`, 422, "app"},
		{"POST", "/favorites", `{"app":7}`, 422, "app"},
		{"POST", "/favorites", `{"app":"nothere-default"}`, 404, ""},
		{"DELETE", "/favorites/shop-team", "", 404, ""},
		{"POST", tokens, `{}`, 422, "scope"},
		{"POST", tokens, `{"scope":"read"}`, 422, "scope"},
		{"POST", tokens, `{"scope":[]}`, 422, "scope"},
		{"POST", tokens, `{"scope":[1]}`, 422, "scope"},
		{"POST", tokens, `{"scope":["identity"]}`, 422, "scope"},
		{"POST", tokens, `{"scope":["read"],"description":1}`, 422, "description"},
		{"POST", tokens, `{"scope":["read"],"expires_in":0}`, 422, "expires_in"},
		{"POST", tokens, `{"scope":["read"],"expires_in":-5}`, 422, "expires_in"},
		{"POST", tokens, `{"scope":["read"],"expires_in":"60"}`, 422, "expires_in"},
		{"POST", tokens, `{"scope":["read"],"expires_in":99999999999999999999}`, 422, "expires_in"},
		{"POST", tokens, `{"scope":["read"],"expires_in":9223372036854775807}`, 422, "expires_in"},
		{"POST", tokens, `{"scope":["read"],"app":"api-default","space":"default"}`, 422, "space"},
		{"POST", tokens, `{"scope":["read"],"app":"nothere-default"}`, 404, ""},
		{"POST", tokens, `{"scope":["read"],"space":"nowhere"}`, 404, ""},
		{"GET", tokens + "/nothere", "", 404, ""},
		{"DELETE", tokens + "/nothere", "", 404, ""},
		{"DELETE", tokens + "/" + rootID, "", 409, ""},
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range refusals() {
		a := w.ask(rootToken, r.method, r.path, r.body)
		body := r.body[:min(len(r.body), 120)]
		if a.status != r.status {
			t.Errorf("%s %s %s: %d %s, want %d", r.method, r.path, body, a.status, a.body, r.status)
			continue
		}
		if got, _ := a.object(t)["field"].(string); got != r.field {
			t.Errorf("%s %s %s: field %q, want %q: %s", r.method, r.path, body, got, r.field, a.body)
		}
	}
	if w.view.wakes != 0 {
		t.Errorf("the loop was woken %d times", w.view.wakes)
	}
}

// TestRefusals_maintenance checks what maintenance forbids, and what it does not.
func TestRefusals_maintenance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(200, "PATCH", "/apps/api-default", `{"maintenance":true}`)
	for _, r := range []refusal{
		{"POST", formation, `{"type":"clock"}`, 409, ""},
		{"PATCH", formation, `[{"type":"web","quantity":2}]`, 409, ""},
		{"PATCH", formation + "/web", `{"quantity":2}`, 409, ""},
		{"DELETE", formation + "/worker", "", 409, ""},
		{"PATCH", configVars, `{"A":"1"}`, 200, ""},
		{"POST", "/apps/api-default/dynos", `{"command":"ls"}`, 201, ""},
		{"POST", builds, `{"url":"nginx:1.28"}`, 201, ""},
		{"POST", releases, `{"release":"1"}`, 201, ""},
	} {
		w.must(r.status, r.method, r.path, r.body)
	}
}

func TestRefusals_ranges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lists := 0
	for name, ex := range examples {
		a := w.ask(rootToken, http.MethodGet, ex.path, "", "Range", "bytes=0-1")
		if !strings.HasPrefix(name, "GET ") || a.header.Get("Accept-Ranges") == "" {
			continue
		}
		lists++
		if a.status != 416 {
			t.Errorf("%s: %d", name, a.status)
		}
		first, _, _ := strings.Cut(a.header.Get("Accept-Ranges"), ",")
		if a := w.ask(rootToken, http.MethodGet, ex.path, "", "Range", first+" ..; max=1"); a.status != 200 && a.status != 206 {
			t.Errorf("%s by %s: %d %s", name, first, a.status, a.body)
		}
	}
	if lists < 15 {
		t.Errorf("only %d lists have ranges", lists)
	}
}
