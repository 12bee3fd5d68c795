package server

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
)

// route is one line of the table: what a method does on a path, and who may.
type route struct {
	method, path string
	handle       func(*Server, http.ResponseWriter, *http.Request) error
	scope        dynomad.Scope // what the token must have
	kind         string        // of resource, which decides what a token's ties hide: one of the kinds below
	open         bool          // needs no token
	secret       bool          // … but a secret in its URL: wrong ones are counted as wrong tokens are
	tied         bool          // with the scope global: also for tokens that are tied to an app or space
	uncounted    bool          // does not count against the rate limit
	time         time.Duration // the handler may take; 0 is handlerTime
	stream       bool          // a success has no end of its own: the handler sets deadlines for what it sends
}

// The kinds of resource.
const (
	kindApp     = "app"     // of one app, which the path names: hidden from tokens tied elsewhere
	kindSpace   = "space"   // of one space, which the path names
	kindSlug    = "slug"    // of the app that made it
	kindOwn     = "own"     // of all that the token sees
	kindToken   = "token"   // of tokens
	kindDefault = "default" // the same for everybody
)

// The scopes, short for the table.
const (
	read           = dynomad.ScopeRead
	write          = dynomad.ScopeWrite
	readProtected  = dynomad.ScopeReadProtected
	writeProtected = dynomad.ScopeWriteProtected
	global         = dynomad.ScopeGlobal
)

// routes is the API. A path is compared with one after the other, so that those come first which are asked for most.
var routes = []route{
	{method: "GET", path: "/apps/{app}/dynos", handle: (*Server).listDynos, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/dynos/{dyno}", handle: (*Server).showDyno, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/dyno/{dyno}", handle: (*Server).showDyno, scope: read, kind: kindApp},

	{method: "GET", path: "/healthz", handle: (*Server).showHealth, open: true, kind: kindDefault},
	{method: "GET", path: "/readyz", handle: (*Server).showReady, open: true, kind: kindDefault},
	{method: "GET", path: "/metrics", handle: (*Server).showMetrics, open: true, kind: kindDefault},
	{method: "GET", path: "/openapi.json", handle: (*Server).showDescription, open: true, kind: kindDefault},
	{method: "GET", path: "/docs", handle: (*Server).showDocs, open: true, kind: kindDefault},

	{method: "POST", path: "/apps", handle: (*Server).createApp, scope: write, kind: kindOwn},
	{method: "GET", path: "/apps", handle: (*Server).listApps, scope: read, kind: kindOwn},
	{method: "GET", path: "/users/~/apps", handle: (*Server).listApps, scope: read, kind: kindOwn},
	{method: "GET", path: "/apps/{app}", handle: (*Server).showApp, scope: read, kind: kindApp},
	{method: "PATCH", path: "/apps/{app}", handle: (*Server).updateApp, scope: write, kind: kindApp},
	{method: "DELETE", path: "/apps/{app}", handle: (*Server).deleteApp, scope: write, kind: kindApp},
	{method: "GET", path: "/apps/{app}/addons", handle: (*Server).emptyOfApp, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/collaborators", handle: (*Server).emptyOfApp, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/pipeline-couplings", handle: (*Server).noCoupling, scope: read, kind: kindApp},

	{method: "POST", path: "/spaces", handle: (*Server).createSpace, scope: global, kind: kindOwn},
	{method: "GET", path: "/spaces", handle: (*Server).listSpaces, scope: read, kind: kindOwn},
	{method: "GET", path: "/spaces/{space}", handle: (*Server).showSpace, scope: read, kind: kindSpace},
	{method: "DELETE", path: "/spaces/{space}", handle: (*Server).deleteSpace, scope: global, kind: kindSpace},

	{method: "GET", path: "/sizes", handle: (*Server).listSizes, scope: read, kind: kindDefault},
	{method: "GET", path: "/dyno-sizes", handle: (*Server).listDynoSizes, scope: read, kind: kindDefault},
	{method: "GET", path: "/dyno-sizes/{size}", handle: (*Server).showDynoSize, scope: read, kind: kindDefault},

	{method: "POST", path: "/apps/{app}/formation", handle: (*Server).createType, scope: write, kind: kindApp},
	{method: "GET", path: "/apps/{app}/formation", handle: (*Server).listFormation, scope: read, kind: kindApp},
	{method: "PATCH", path: "/apps/{app}/formation", handle: (*Server).updateFormation, scope: write, kind: kindApp},
	{method: "GET", path: "/apps/{app}/formation/{type}", handle: (*Server).showType, scope: read, kind: kindApp},
	{method: "PATCH", path: "/apps/{app}/formation/{type}", handle: (*Server).updateType, scope: write, kind: kindApp},
	{method: "DELETE", path: "/apps/{app}/formation/{type}", handle: (*Server).deleteType, scope: write, kind: kindApp},

	{method: "POST", path: "/apps/{app}/dynos", handle: (*Server).createRun, scope: writeProtected, kind: kindApp},
	{method: "DELETE", path: "/apps/{app}/dynos", handle: (*Server).restartAll, scope: write, kind: kindApp},
	{method: "DELETE", path: "/apps/{app}/dynos/{dyno}", handle: (*Server).restartDynoOrType, scope: write, kind: kindApp},
	{method: "POST", path: "/apps/{app}/dynos/{dyno}/actions/stop", handle: (*Server).stopDyno, scope: write, kind: kindApp},
	{
		method: "POST", path: "/apps/{app}/dynos/{dyno}/actions/attach",
		handle: (*Server).attach, scope: writeProtected, kind: kindApp, time: attachTime,
	},
	{
		method: "POST", path: "/apps/{app}/{dyno}/actions/attach",
		handle: (*Server).attach, scope: writeProtected, kind: kindApp, time: attachTime,
	},
	{method: "GET", path: "/apps/{app}/dynos/{dyno}/stream", handle: (*Server).stream, open: true, secret: true, kind: kindApp, time: streamTime},
	{method: "DELETE", path: "/apps/{app}/formations/{type}", handle: (*Server).restartType, scope: write, kind: kindApp},
	{method: "POST", path: "/apps/{app}/formations/{type}/actions/stop", handle: (*Server).restartType, scope: write, kind: kindApp},
	{method: "DELETE", path: "/apps/{app}/formations/{type}/actions/stop", handle: (*Server).restartType, scope: write, kind: kindApp},

	{method: "GET", path: "/apps/{app}/config-vars", handle: (*Server).showConfig, scope: readProtected, kind: kindApp},
	{method: "PATCH", path: "/apps/{app}/config-vars", handle: (*Server).updateConfig, scope: writeProtected, kind: kindApp},
	{method: "GET", path: "/apps/{app}/config-vars/notes", handle: (*Server).showNotes, scope: read, kind: kindApp},
	{method: "PATCH", path: "/apps/{app}/config-vars/notes", handle: (*Server).updateNotes, scope: write, kind: kindApp},

	{method: "POST", path: "/apps/{app}/builds", handle: (*Server).createBuild, scope: write, kind: kindApp},
	{method: "GET", path: "/apps/{app}/builds", handle: (*Server).listBuilds, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/builds/{build}", handle: (*Server).showBuild, scope: read, kind: kindApp},
	{method: "PUT", path: "/apps/{app}/builds/{build}", handle: (*Server).rebuild, scope: write, kind: kindApp},
	{method: "DELETE", path: "/apps/{app}/builds/{build}", handle: (*Server).deleteBuild, scope: write, kind: kindApp},
	{method: "GET", path: "/apps/{app}/builds/{build}/result", handle: (*Server).showResult, scope: read, kind: kindApp},
	{method: "GET", path: "/slugs/{slug}", handle: (*Server).showSlug, scope: read, kind: kindSlug},

	{method: "POST", path: "/apps/{app}/releases", handle: (*Server).createRelease, scope: write, kind: kindApp},
	{method: "GET", path: "/apps/{app}/releases", handle: (*Server).listReleases, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/releases/{release}", handle: (*Server).showRelease, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/releases/{release}/statuses", handle: (*Server).showStatuses, scope: read, kind: kindApp},
	{
		method: "GET", path: "/apps/{app}/releases/{release}/config-vars",
		handle: (*Server).showReleaseConfig, scope: readProtected, kind: kindApp,
	},

	{method: "GET", path: "/apps/{app}/logs", handle: (*Server).readLogs, scope: readProtected, kind: kindApp, stream: true},
	{method: "POST", path: "/apps/{app}/log-sessions", handle: (*Server).createLogSession, scope: readProtected, kind: kindApp},
	{method: "GET", path: "/log-sessions/{session}", handle: (*Server).readLogSession, open: true, secret: true, kind: kindDefault, stream: true},

	{method: "GET", path: "/apps/{app}/audits", handle: (*Server).listAudits, scope: read, kind: kindApp},
	{method: "GET", path: "/audits", handle: (*Server).listAudits, scope: read, kind: kindOwn},

	{method: "GET", path: "/apps/{app}/features", handle: (*Server).listFeatures, scope: read, kind: kindApp},
	{method: "GET", path: "/apps/{app}/features/{feature}", handle: (*Server).showFeature, scope: read, kind: kindApp},
	{method: "PATCH", path: "/apps/{app}/features/{feature}", handle: (*Server).updateFeature, scope: write, kind: kindApp},

	{method: "POST", path: "/favorites", handle: (*Server).addFavorite, scope: write, kind: kindOwn},
	{method: "GET", path: "/favorites", handle: (*Server).listFavorites, scope: read, kind: kindOwn},
	{method: "DELETE", path: "/favorites", handle: (*Server).removeFavorite, scope: write, kind: kindOwn},
	{method: "DELETE", path: "/favorites/{app}", handle: (*Server).removeFavoriteApp, scope: write, kind: kindApp},

	{method: "GET", path: "/organizations", handle: (*Server).listOrganizations, scope: read, kind: kindOwn},
	{method: "GET", path: "/account", handle: (*Server).showAccount, scope: read, kind: kindOwn},
	{method: "GET", path: "/account/rate-limits", handle: (*Server).showRateLimits, scope: read, kind: kindOwn, uncounted: true},

	{method: "POST", path: "/oauth/authorizations", handle: (*Server).createAuthorization, scope: global, kind: kindToken, tied: true},
	{method: "GET", path: "/oauth/authorizations", handle: (*Server).listAuthorizations, scope: global, kind: kindToken},
	{method: "GET", path: "/oauth/authorizations/{authorization}", handle: (*Server).showAuthorization, scope: global, kind: kindToken},
	{method: "DELETE", path: "/oauth/authorizations/{authorization}", handle: (*Server).deleteAuthorization, scope: global, kind: kindToken},
}

// group is all routes of one path.
type group struct {
	path     string
	byMethod map[string]route
}

// groups gathers the routes by path, in the table's order.
func groups() []group {
	var all []group
	for _, rt := range routes {
		i := slices.IndexFunc(all, func(g group) bool { return g.path == rt.path })
		if i < 0 {
			i = len(all)
			all = append(all, group{path: rt.path, byMethod: map[string]route{}})
		}
		all[i].byMethod[rt.method] = rt
	}
	return all
}

// endpoint serves one path: by the route of the method, or with the list of methods that it has. HEAD is GET.
func (s *Server) endpoint(g group) http.Handler {
	handlers := map[string]http.Handler{}
	for method, rt := range g.byMethod {
		handlers[method] = s.adapt(rt)
	}
	if get, ok := handlers[http.MethodGet]; ok {
		handlers[http.MethodHead] = get
	}
	var allowed []string
	for method := range handlers {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	refuse := s.adapt(route{path: g.path, open: true, handle: func(_ *Server, w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return methodNotAllowed
	}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, ok := handlers[r.Method]
		if !ok {
			handler = refuse
		}
		handler.ServeHTTP(w, r)
	})
}
