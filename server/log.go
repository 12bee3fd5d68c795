package server

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/gorilla/mux"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// likeApp is what a key of an app looks like: a full name or an id. What does not is not written to the log: it may be anything, such as
// a token that was pasted into the wrong place.
var likeApp = regexp.MustCompile(`^[a-z0-9-]{1,36}$`)

// logged is how a request ended.
type logged struct {
	status int
	took   time.Duration
	kind   dynomad.Kind // "" for a success
	err    error
	*notes // nil has none
}

// notes are what a handler has for the request's line in the log.
type notes struct {
	release int // the version of the app's newest release, after what the request did
}

type notesKey struct{}

// noted gives the context of a request: what is done for it bears its id, and its handler can make notes. Requests that only read need
// neither.
func noted(ctx context.Context, method string, rt route, id string) (context.Context, *notes) {
	if reads := method == http.MethodGet || method == http.MethodHead; reads && rt.time != streamTime {
		return ctx, nil
	}
	n := &notes{}
	return context.WithValue(dynomad.WithRequestID(ctx, id), notesKey{}, n), n
}

// noteRelease has the request's line in the log tell the app's newest release.
func noteRelease(r *http.Request, s dynomad.AppState) {
	if n, ok := r.Context().Value(notesKey{}).(*notes); ok && s.Last != nil {
		n.release = s.Last.Version
	}
}

// logRequest writes a request's one line. It has the path's template, never a query, a body or a token. What was wrong
// with a request is not in it, since the text may repeat what the client sent; what was wrong with the platform is.
func (s *Server) logRequest(rt route, r *http.Request, id string, end logged) {
	level := hclog.Debug
	switch {
	case end.kind != "" && end.status >= http.StatusInternalServerError:
		level = hclog.Error
	case end.kind == "" && r.Method != http.MethodGet && r.Method != http.MethodHead:
		level = hclog.Info
	}
	if level == hclog.Debug && !s.log.IsDebug() {
		return
	}
	args := []any{
		"method", methodLabel(r.Method), "path", rt.path, "status", end.status,
		"duration", end.took.Round(time.Microsecond), "request_id", id,
	}
	if app := mux.Vars(r)["app"]; likeApp.MatchString(app) {
		args = append(args, "app", app)
	}
	if end.notes != nil && end.release > 0 {
		args = append(args, "release", end.release)
	}
	if theirs := r.Header.Get("Request-Id"); theirs != "" {
		args = append(args, "client_request_id", printable(theirs))
	}
	if end.kind != "" {
		args = append(args, "kind", end.kind)
	}
	if level == hclog.Error {
		args = append(args, "error", end.err)
	}
	s.log.Log(level, "request", args...)
}

// printable makes what a client sent fit for a line of the log.
func printable(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most]
	}
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}

// methodLabel gives a method that is safe as a label: a client may send any word.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "other"
}
