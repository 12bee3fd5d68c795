// Package server speaks the REST API: routes, tokens and scopes, decoding, encoding, status codes.
//
// A request passes through one adapter (adapter.go), which knows everything that all requests have in common, to the
// handler that the table of routes (routes.go) names. A handler decodes, calls one verb of dynomad.Platform and responds;
// it decides nothing. Each resource has a file with its wire types, its converters and its handlers.
//
// The package never meets a database or a cluster.
package server

import (
	"context"
	"log"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// Config is what a Server needs. Platform, NewID and NewToken must be set.
type Config struct {
	Platform *dynomad.Platform

	AppDomain      string // apps are shown at host <app>.<AppDomain>
	WebURL         string // template of an app's web_url; "{host}" is its host
	ExternalURL    string // base of absolute URLs in answers, without a trailing slash
	NomadUIURL     string // base of the Nomad UI
	NomadNamespace string // the daemon's own namespace; "" is "default"
	Region         string // name of the region; "" is "global"
	Version        string // of the daemon, shown by /healthz
	RateLimit      int    // requests a minute of one token; 0 is no limit
	RefusedLimit   int    // requests a minute of one address whose token or secret is missing or wrong; 0 is no limit
	TokenStreams   int    // logs and terminals that one token has open at once; 0 is no limit

	// Proxies are who may say in X-Forwarded-For whom they ask for.
	Proxies []netip.Prefix

	Logger   hclog.Logger
	Now      func() time.Time
	NewID    func() string // a fresh UUID
	NewToken func() string // a fresh secret

	// Ready says of each part that the daemon needs "ok" or, in a few words fit for anybody, what is wrong with it.
	Ready func(ctx context.Context) map[string]string
	// Notices gives warnings for the operator, which /readyz shows beside the parts.
	Notices func() []string
	// Metrics serves /metrics; nil if that is served elsewhere.
	Metrics http.Handler
	// Observe is told of every answered request. path is the route's template, "" for one that fits no route.
	Observe func(method, path string, status int, took time.Duration)
}

// Server serves the API.
type Server struct {
	cfg      Config
	platform *dynomad.Platform
	log      hclog.Logger
	limiter  *limiter // of tokens
	refused  *limiter // of addresses
	bodies   *bodies

	logSessions *tickets[logSession]
	attaches    *tickets[streamTicket]
	streams     *streams
	ofToken     *tokenStreams
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.WebURL == "" {
		cfg.WebURL = "http://{host}"
	}
	if cfg.NomadNamespace == "" {
		cfg.NomadNamespace = "default"
	}
	if cfg.Region == "" {
		cfg.Region = "global"
	}
	cfg.ExternalURL = strings.TrimSuffix(cfg.ExternalURL, "/")
	cfg.NomadUIURL = strings.TrimSuffix(cfg.NomadUIURL, "/")
	return &Server{
		cfg: cfg, platform: cfg.Platform, log: cfg.Logger, bodies: newBodies(), ofToken: newTokenStreams(cfg.TokenStreams),
		limiter: newLimiter(cfg.RateLimit, cfg.Now), refused: newLimiter(cfg.RefusedLimit, cfg.Now),
		logSessions: newTickets[logSession](logSessionLife, cfg.Now, cfg.NewToken),
		attaches:    newTickets[streamTicket](dynomad.ConnectTime, cfg.Now, cfg.NewToken), streams: newStreams(),
	}
}

// Handler gives the API as a handler. Paths are matched as they were sent, escapes included: nothing is cleaned and nobody
// is redirected, so that "//", ".." and "%2F" fit no route or name nothing that exists.
func (s *Server) Handler() http.Handler {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	for _, group := range groups() {
		router.Handle(group.path, s.endpoint(group))
	}
	router.NotFoundHandler = s.adapt(route{open: true, handle: (*Server).noRoute})
	return withoutTrailingSlash(router)
}

// Limits of one request. A body is waited for so long, a handler works for no longer unless its route says so, and what it
// answers is sent for so long.
const (
	headerTime  = 10 * time.Second
	bodyTime    = 30 * time.Second
	handlerTime = 30 * time.Second
	sendTime    = 60 * time.Second
	idleTime    = 2 * time.Minute
	maxHeader   = 64 << 10
	maxBody     = 1 << 20
	maxRequests = 100 // at once over one connection, by HTTP/2
)

// HTTPServer makes a server for a handler of this package, with the limits of the API on slow and large requests. It has
// no overall write timeout, since logs are streamed; the adapter sets one for each ordinary answer.
func HTTPServer(handler http.Handler, logger hclog.Logger) *http.Server {
	var errorLog *log.Logger
	if logger != nil {
		errorLog = logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxRequests},
		ErrorLog:          errorLog,
	}
}
