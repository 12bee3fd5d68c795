package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
)

// example is a request that succeeds on a route, about api-default or the space it is in.
type example struct {
	path, body string
	status     int
}

const (
	apiBuild   = "00000000-0000-4000-8000-000000000203"
	apiRelease = "00000000-0000-4000-8000-000000000207"
	aToken     = "00000000-0000-4000-8000-000000000401"
)

// examples has one request for every route.
var examples = map[string]example{
	"GET /healthz":                                      {"/healthz", "", 200},
	"GET /readyz":                                       {"/readyz", "", 200},
	"GET /metrics":                                      {"/metrics", "", 200},
	"GET /openapi.json":                                 {"/openapi.json", "", 200},
	"GET /docs":                                         {"/docs", "", 200},
	"POST /apps":                                        {"/apps", `{"name":"fresh"}`, 201},
	"GET /apps":                                         {"/apps", "", 200},
	"GET /users/~/apps":                                 {"/users/~/apps", "", 200},
	"GET /apps/{app}":                                   {"/apps/api-default", "", 200},
	"PATCH /apps/{app}":                                 {"/apps/api-default", `{"maintenance":true}`, 200},
	"DELETE /apps/{app}":                                {"/apps/api-default", "", 200},
	"GET /apps/{app}/addons":                            {"/apps/api-default/addons", "", 200},
	"GET /apps/{app}/collaborators":                     {"/apps/api-default/collaborators", "", 200},
	"GET /apps/{app}/pipeline-couplings":                {"/apps/api-default/pipeline-couplings", "", 404},
	"POST /spaces":                                      {"/spaces", `{"name":"new-space"}`, 201},
	"GET /spaces":                                       {"/spaces", "", 200},
	"GET /spaces/{space}":                               {"/spaces/default", "", 200},
	"DELETE /spaces/{space}":                            {"/spaces/empty", "", 200},
	"GET /sizes":                                        {"/sizes", "", 200},
	"GET /dyno-sizes":                                   {"/dyno-sizes", "", 200},
	"GET /dyno-sizes/{size}":                            {"/dyno-sizes/gp2", "", 200},
	"POST /apps/{app}/formation":                        {"/apps/api-default/formation", `{"type":"clock"}`, 200},
	"GET /apps/{app}/formation":                         {"/apps/api-default/formation", "", 200},
	"PATCH /apps/{app}/formation":                       {"/apps/api-default/formation", `[{"type":"web","quantity":2}]`, 200},
	"GET /apps/{app}/formation/{type}":                  {"/apps/api-default/formation/web", "", 200},
	"PATCH /apps/{app}/formation/{type}":                {"/apps/api-default/formation/web", `{"quantity":2}`, 200},
	"DELETE /apps/{app}/formation/{type}":               {"/apps/api-default/formation/worker", "", 200},
	"GET /apps/{app}/dynos":                             {"/apps/api-default/dynos", "", 200},
	"GET /apps/{app}/dynos/{dyno}":                      {"/apps/api-default/dynos/web.1", "", 200},
	"GET /apps/{app}/dyno/{dyno}":                       {"/apps/api-default/dyno/" + seedDynoName, "", 200},
	"POST /apps/{app}/dynos":                            {"/apps/api-default/dynos", `{"command":"echo hi"}`, 201},
	"DELETE /apps/{app}/dynos":                          {"/apps/api-default/dynos", "", 202},
	"DELETE /apps/{app}/dynos/{dyno}":                   {"/apps/api-default/dynos/web", "", 202},
	"POST /apps/{app}/dynos/{dyno}/actions/stop":        {"/apps/api-default/dynos/web.1/actions/stop", "", 202},
	"DELETE /apps/{app}/formations/{type}":              {"/apps/api-default/formations/web", "", 202},
	"POST /apps/{app}/formations/{type}/actions/stop":   {"/apps/api-default/formations/web/actions/stop", "", 202},
	"DELETE /apps/{app}/formations/{type}/actions/stop": {"/apps/api-default/formations/web/actions/stop", "", 202},
	"POST /apps/{app}/dynos/{dyno}/actions/attach":      {"/apps/api-default/dynos/web.1/actions/attach", `{"command":["sh","-c","kill -15 -1"]}`, 202},
	"POST /apps/{app}/{dyno}/actions/attach":            {"/apps/api-default/web." + seedDynoName + "/actions/attach", `{"alias":"java_heap_dump"}`, 202},
	"GET /apps/{app}/dynos/{dyno}/stream":               {"/apps/api-default/dynos/run.1001/stream?secret=x", "", 426},
	"GET /apps/{app}/config-vars":                       {"/apps/api-default/config-vars", "", 200},
	"PATCH /apps/{app}/config-vars":                     {"/apps/api-default/config-vars", `{"A":"1"}`, 200},
	"GET /apps/{app}/config-vars/notes":                 {"/apps/api-default/config-vars/notes", "", 200},
	"PATCH /apps/{app}/config-vars/notes":               {"/apps/api-default/config-vars/notes", `{"COLOR":{"description":"of the door"}}`, 200},
	"POST /apps/{app}/builds":                           {"/apps/api-default/builds", `{"url":"nginx:1.28"}`, 201},
	"GET /apps/{app}/builds":                            {"/apps/api-default/builds", "", 200},
	"GET /apps/{app}/builds/{build}":                    {"/apps/api-default/builds/" + apiBuild, "", 200},
	"PUT /apps/{app}/builds/{build}":                    {"/apps/api-default/builds/" + apiBuild, "", 201},
	"DELETE /apps/{app}/builds/{build}":                 {"/apps/api-default/builds/" + apiBuild, "", 409},
	"GET /apps/{app}/builds/{build}/result":             {"/apps/api-default/builds/" + apiBuild + "/result", "", 200},
	"GET /slugs/{slug}":                                 {"/slugs/" + apiBuild, "", 200},
	"POST /apps/{app}/releases":                         {"/apps/api-default/releases", `{"slug":"` + apiBuild + `"}`, 201},
	"GET /apps/{app}/releases":                          {"/apps/api-default/releases", "", 200},
	"GET /apps/{app}/releases/{release}":                {"/apps/api-default/releases/" + apiRelease, "", 200},
	"GET /apps/{app}/logs":                              {"/apps/api-default/logs", "", 200},
	"POST /apps/{app}/log-sessions":                     {"/apps/api-default/log-sessions", "", 201},
	"GET /log-sessions/{session}":                       {"/log-sessions/nothere", "", 404},
	"GET /apps/{app}/audits":                            {"/apps/api-default/audits", "", 200},
	"GET /audits":                                       {"/audits?app=api-default", "", 200},
	"GET /apps/{app}/features":                          {"/apps/api-default/features", "", 200},
	"GET /apps/{app}/features/{feature}":                {"/apps/api-default/features/auto-release", "", 200},
	"PATCH /apps/{app}/features/{feature}":              {"/apps/api-default/features/auto-release", `{"enabled":false}`, 200},
	"POST /favorites":                                   {"/favorites", `{"app":"api-default"}`, 201},
	"GET /favorites":                                    {"/favorites", "", 200},
	"DELETE /favorites":                                 {"/favorites", `{"app":"api-default"}`, 200},
	"DELETE /favorites/{app}":                           {"/favorites/api-default", "", 200},
	"GET /organizations":                                {"/organizations", "", 200},
	"GET /account":                                      {"/account", "", 200},
	"GET /account/rate-limits":                          {"/account/rate-limits", "", 200},
	"POST /oauth/authorizations":                        {"/oauth/authorizations", `{"scope":["read"]}`, 201},
	"GET /oauth/authorizations":                         {"/oauth/authorizations", "", 200},
	"GET /oauth/authorizations/{authorization}":         {"/oauth/authorizations/" + aToken, "", 200},
	// The last of the seed's tokens, which no other case uses.
	"DELETE /oauth/authorizations/{authorization}":   {"/oauth/authorizations/00000000-0000-4000-8000-000000000451", "", 200},
	"GET /apps/{app}/releases/{release}/statuses":    {"/apps/api-default/releases/v1/statuses", "", 200},
	"GET /apps/{app}/releases/{release}/config-vars": {"/apps/api-default/releases/3/config-vars", "", 200},
}

// TestAccess asks every route with every scope and tie, and with no and with bad tokens.
func TestAccess(t *testing.T) {
	t.Parallel()
	if len(examples) != len(server.Routes()) {
		t.Errorf("%d examples for %d routes", len(examples), len(server.Routes()))
	}
	for _, rt := range server.Routes() {
		name := rt.Method + " " + rt.Path
		ex, ok := examples[name]
		if !ok {
			t.Errorf("%s has no example", name)
			continue
		}
		t.Run(strings.NewReplacer("/", "_", " ", "").Replace(name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, token := range []string{"", "wrong", "expired-token"} {
				want := 401
				if rt.Open {
					want = ex.status
				}
				if a := w.ask(token, rt.Method, ex.path, ex.body); a.status != want {
					t.Errorf("token %q: %d, want %d", token, a.status, want)
				}
			}
			for _, tie := range tieNames {
				for _, scope := range dynomad.Scopes() {
					w = askAs(t, w, rt, ex, scope, tie)
				}
			}
		})
	}
}

// askAs sends a route's example with one token, and gives the world to go on with: another one if this was changed.
func askAs(t *testing.T, w *world, rt server.Route, ex example, scope dynomad.Scope, tie string) *world {
	t.Helper()
	if rt.Method == "DELETE" && strings.HasPrefix(rt.Path, "/favorites") && scope != dynomad.ScopeRead {
		// Favorites are the token's own: it needs one to remove.
		w.ask(tokenFor(scope, tie), "POST", "/favorites", `{"app":"api-default"}`)
	}
	a := w.ask(tokenFor(scope, tie), rt.Method, ex.path, ex.body)
	if want := expected(rt, ex, scope, tie); a.status != want {
		t.Errorf("scope %s, tie %s: %d %s, want %d", scope, tie, a.status, a.body, want)
	}
	if a.status < 300 && w.route != rt.Method+" "+rt.Path {
		t.Errorf("answered by %s", w.route)
	}
	if strings.HasPrefix(tie, "other-") && !describes(rt) && strings.Contains(a.body, "api-default") && a.status < 300 {
		t.Errorf("scope %s, tie %s sees api-default: %s", scope, tie, a.body)
	}
	if !a.wrote {
		return w
	}
	return newWorld(t)
}

// describes reports whether a route tells of the API itself, with examples that look like this world: the same to everybody.
func describes(rt server.Route) bool { return rt.Path == "/openapi.json" || rt.Path == "/docs" }

// expected is the status that a token should get.
func expected(rt server.Route, ex example, scope dynomad.Scope, tie string) int {
	who := dynomad.Principal{Scopes: []dynomad.Scope{scope}}
	if rt.Open {
		return ex.status
	}
	if !who.Has(rt.Scope) {
		return 403
	}
	other := strings.HasPrefix(tie, "other-")
	switch {
	case rt.Scope == dynomad.ScopeGlobal && tie != "any" && !rt.Tied:
		return 403
	case rt.Method == "POST" && rt.Path == "/apps" && strings.HasSuffix(tie, "app"):
		return 403 // an app's token makes no other apps
	case rt.Method == "POST" && rt.Path == "/apps" && other:
		return 404 // the space is another one
	case strings.HasSuffix(rt.Path, "/favorites") && rt.Method != "GET" && other:
		return 404 // the body names the app
	case slices.Contains([]string{server.KindApp, server.KindSpace, server.KindSlug}, rt.Kind) && other:
		return 404
	}
	return ex.status
}

// TestAccess_lists checks that lists hold what the token's ties let it see, and nothing else.
func TestAccess_lists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct{ tie, path, key, want string }{
		{"any", "/apps", "name", "api-default shop-team"},
		{"app", "/apps", "name", "api-default"},
		{"other-app", "/apps", "name", "shop-team"},
		{"space", "/apps", "name", "api-default"},
		{"other-space", "/users/~/apps", "name", "shop-team"},
		{"any", "/spaces", "name", "default empty team"},
		{"app", "/spaces", "name", "default"},
		{"other-app", "/spaces", "name", "team"},
		{"other-space", "/spaces", "name", "team"},
		{"any", "/organizations", "name", "acme default"},
		{"app", "/organizations", "name", "acme"},
		{"other-space", "/organizations", "name", "default"},
	}
	for _, tt := range tests {
		var names []string
		for _, x := range decoded[[]map[string]any](t, w.ask(tokenFor(dynomad.ScopeRead, tt.tie), "GET", tt.path, "")) {
			names = append(names, x[tt.key].(string))
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.path, tt.tie, got, tt.want)
		}
	}
	for _, path := range []string{"/audits", "/audits?app=api-default", "/audits?space=default"} {
		for _, tie := range []string{"other-app", "other-space"} {
			if a := w.ask(tokenFor(dynomad.ScopeRead, tie), "GET", path, ""); strings.Contains(a.body, "api-default") {
				t.Errorf("%s shows %s to %s", path, "api-default", tie)
			}
		}
	}
}

// TestProtected checks that no answer shows a config value to a token without a -protected scope.
func TestProtected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shown := 0
	for _, rt := range server.Routes() {
		ex := examples[rt.Method+" "+rt.Path]
		for _, scope := range dynomad.Scopes() {
			a := w.ask(tokenFor(scope, "any"), rt.Method, ex.path, ex.body)
			if describes(rt) {
				continue
			}
			hidden := strings.Contains(a.body, "hidden-config") || strings.Contains(a.body, "hidden-option")
			if hidden && (scope == dynomad.ScopeRead || scope == dynomad.ScopeWrite) {
				t.Errorf("%s %s shows a value to the scope %s: %s", rt.Method, ex.path, scope, a.body)
			}
			if hidden {
				shown++
			}
			if a.wrote {
				w = newWorld(t)
			}
		}
	}
	if shown < 10 {
		t.Errorf("only %d answers show a value to those who may see it", shown)
	}
	options := w.ask(tokenFor(dynomad.ScopeRead, "any"), "GET", "/apps/api-default/formation/migrate", "").object(t)["options"]
	if env, sent := options.(map[string]any)["env"]; !sent || env != nil {
		t.Errorf("options without read-protected are %v, want env null", options)
	}
	if strings.Contains(w.logs.String(), "hidden-") || strings.Contains(w.logs.String(), "-token-of-") {
		t.Error("the log has a config value or a token")
	}
}

// TestNamespace checks that a space's Nomad namespace is shown to nobody without the scope global.
func TestNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, scope := range dynomad.Scopes() {
		got, sent := w.ask(tokenFor(scope, "any"), "GET", "/spaces/team", "").object(t)["nomad_namespace"]
		if shown := got == "apps"; !sent || shown != (scope == dynomad.ScopeGlobal) {
			t.Errorf("scope %s sees the namespace %v", scope, got)
		}
	}
}

// TestRoutes_scopes says once more, and apart from the table, what each route needs: a read scope to read, a write scope to
// change, and these exceptions.
func TestRoutes_scopes(t *testing.T) {
	t.Parallel()
	exceptions := map[string]dynomad.Scope{
		"GET /apps/{app}/config-vars":                    dynomad.ScopeReadProtected,
		"GET /apps/{app}/releases/{release}/config-vars": dynomad.ScopeReadProtected,
		"PATCH /apps/{app}/config-vars":                  dynomad.ScopeWriteProtected,
		"POST /apps/{app}/dynos":                         dynomad.ScopeWriteProtected,
		"POST /apps/{app}/dynos/{dyno}/actions/attach":   dynomad.ScopeWriteProtected,
		"POST /apps/{app}/{dyno}/actions/attach":         dynomad.ScopeWriteProtected,
		"POST /spaces":                                   dynomad.ScopeGlobal,
		"DELETE /spaces/{space}":                         dynomad.ScopeGlobal,
		"POST /oauth/authorizations":                     dynomad.ScopeGlobal,
		"GET /oauth/authorizations":                      dynomad.ScopeGlobal,
		"GET /oauth/authorizations/{authorization}":      dynomad.ScopeGlobal,
		"DELETE /oauth/authorizations/{authorization}":   dynomad.ScopeGlobal,
		"GET /apps/{app}/logs":                           dynomad.ScopeReadProtected,
		"POST /apps/{app}/log-sessions":                  dynomad.ScopeReadProtected,
		"GET /log-sessions/{session}":                    "",
		"GET /healthz":                                   "",
		"GET /readyz":                                    "",
		"GET /metrics":                                   "",
		"GET /openapi.json":                              "",
		"GET /docs":                                      "",
		"GET /apps/{app}/dynos/{dyno}/stream":            "", // the secret is what is needed
	}
	for _, rt := range server.Routes() {
		name := rt.Method + " " + rt.Path
		want, special := exceptions[name]
		switch {
		case special:
		case rt.Method == "GET":
			want = dynomad.ScopeRead
		default:
			want = dynomad.ScopeWrite
		}
		if rt.Scope != want || rt.Open != (want == "") {
			t.Errorf("%s needs %q, want %q", name, rt.Scope, want)
		}
		if strings.HasPrefix(rt.Path, "/apps/{app}") != (rt.Kind == server.KindApp) && rt.Path != "/favorites/{app}" {
			t.Errorf("%s is of kind %s", name, rt.Kind)
		}
	}
}
