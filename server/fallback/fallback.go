// Package fallback answers visitors of apps that cannot answer themselves: those in maintenance, those that are starting,
// those without a ready web dyno, and those that do not exist. Routers lead a host here when nothing else claims it.
//
// It is served on a listener of its own and is no part of the API: it has no routes, reads no token and no body, and knows no
// verb of the platform. All it can do is read an app's state and its dynos, from memory. What strangers are told is one of a
// few fixed texts; why an app is not there stands in the API.
package fallback

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// apps is the store, as far as visitors may cause it to be read.
type apps interface {
	// AppState gives an app by its full name; an error of kind NotFound says that there is none.
	AppState(ctx context.Context, name string) (dynomad.AppState, error)
}

// dynos is the live view, read from memory.
type dynos interface {
	Dynos(state dynomad.AppState, now time.Time) dynomad.DynoPicture
}

// Config is what the pages are made of. Apps and Dynos must be set.
type Config struct {
	Domain    string // app x-default has the host x-default.<Domain>
	Apps      apps
	Dynos     dynos
	StartTime time.Duration // a dyno that is not ready after this long is not starting any more
	Now       func() time.Time
	Logger    hclog.Logger
}

const (
	lookupTime = 5 * time.Second // the longest that an answer waits for the store
	lookups    = 4               // at once, so that visitors leave the API its share of the store
)

// handler answers every request by its Host.
type handler struct {
	Config
	slots   chan struct{}
	answers map[condition]answer
}

// New makes the handler. Any method and any path are welcome.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return &handler{Config: c, slots: make(chan struct{}, lookups), answers: render()}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.answers[h.condition(r.Context(), r.Host)].send(w, r)
}

// condition finds what is the matter with the app of a host.
func (h *handler) condition(ctx context.Context, host string) condition {
	name, ok := appName(host, h.Domain)
	if !ok {
		return missing
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return unavailable
	}
	state, err := h.Apps.AppState(ctx, name)
	switch {
	case dynomad.KindOf(err) == dynomad.NotFound:
		return missing
	case err != nil:
		h.Logger.Debug("cannot read an app for a visitor", "app", name, "error", err)
		return unavailable
	}
	now := h.Now()
	return conditionOf(state, h.Dynos.Dynos(state, now).Dynos, now.Add(-h.StartTime))
}

// Limits of one request. A router's idle connections end before ours do (Traefik's after 90 s), else it would send a visitor
// into one that is being closed.
const (
	headerTime = 10 * time.Second
	readTime   = 15 * time.Second
	writeTime  = 15 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 64 << 10 // visitors bring their cookies
)

// HTTPServer makes a server for the handler, with limits on slow and large requests.
func HTTPServer(handler http.Handler, logger hclog.Logger) *http.Server {
	var errorLog *log.Logger
	if logger != nil {
		errorLog = logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
	}
	return &http.Server{
		Handler:                      handler,
		ReadHeaderTimeout:            headerTime,
		ReadTimeout:                  readTime,
		WriteTimeout:                 writeTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is answered like all else
		ErrorLog:                     errorLog,
	}
}
