package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

// adapt makes a handler of a route: what all requests have in common, from the request's id to its line in the log.
func (s *Server) adapt(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, id := time.Now(), s.cfg.NewID()
		rec := &recorder{ResponseWriter: w, head: r.Method == http.MethodHead, codings: r.Header["Accept-Encoding"]}
		setHeaders(rec.Header(), id)
		limit := cmp.Or(rt.time, handlerTime)
		setDeadlines(w, r, start, limit)
		ctx, notes := noted(r.Context(), r.Method, rt, id)
		if rt.stream {
			rec.begun = func() { s.answered(rt, r, id, logged{status: rec.status, took: time.Since(start)}) }
		} else {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		err := s.serve(rec, r.WithContext(ctx), rt)
		kind, status, brokenOff := dynomad.Kind(""), rec.status, err != nil && rec.status != 0
		if err != nil {
			kind = kindOf(r.Context(), err)
			status = failures[kind].status
			if !brokenOff {
				writeError(rec, kind, err)
			}
		}
		end := logged{status, time.Since(start), kind, err, notes}
		switch {
		case rec.begun != nil && rec.status != 0 && rec.status < http.StatusMultipleChoices:
			s.log.Debug("a stream has ended", "path", rt.path, "app", printable(mux.Vars(r)["app"]), "request_id", id, "duration", end.took, "kind", kind)
		case status == http.StatusSwitchingProtocols:
			s.logRequest(rt, r, id, end)
			s.observe(rt, r, status, rec.switched.Sub(start)) // what follows is no answer
		default:
			s.answered(rt, r, id, end)
		}
		if brokenOff {
			panic(http.ErrAbortHandler) // the client must not take what it has for the whole answer
		}
	})
}

// answered tells of an answer: in the log and in the metrics.
func (s *Server) answered(rt route, r *http.Request, id string, end logged) {
	s.logRequest(rt, r, id, end)
	s.observe(rt, r, end.status, end.took)
}

// observe tells the metrics of an answer.
func (s *Server) observe(rt route, r *http.Request, status int, took time.Duration) {
	if s.cfg.Observe != nil {
		s.cfg.Observe(methodLabel(r.Method), rt.path, status, took)
	}
}

// serve runs a route's checks and its handler. A panic becomes an error.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the very value, as net/http compares it
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := unescapeKeys(r); err != nil {
		return err
	}
	if _, ok := dialect.Of(r.Header.Values("Accept")); !ok {
		return notAcceptable
	}
	if rt.open && !rt.secret {
		return rt.handle(s, w, r)
	}
	if err := s.refusedTooOften(r); err != nil {
		return err
	}
	if rt.secret {
		err := rt.handle(s, w, r)
		s.countRefused(r, err)
		return err
	}
	if r, err = s.admit(w, r, rt); err != nil {
		s.countRefused(r, err)
		return err
	}
	if err := readBody(w, r); err != nil {
		return err
	}
	return rt.handle(s, w, r)
}

// setHeaders sets what all answers have. Names are written as http.Header has them.
func setHeaders(h http.Header, id string) {
	values := [...]string{id, "no-store", "nosniff", unlimited}
	for i, name := range [...]string{"Request-Id", "Cache-Control", "X-Content-Type-Options", "Ratelimit-Remaining"} {
		h[name] = values[i : i+1 : i+1]
	}
}

// setDeadlines bounds how long a body may take to arrive and an answer, of which the handler takes a part, to leave. Writers
// without deadlines have none.
func setDeadlines(w http.ResponseWriter, r *http.Request, now time.Time, handler time.Duration) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(now.Add(handler + sendTime))
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(now.Add(bodyTime))
	}
}

// readBody reads a request's body into memory, and refuses one that cannot be JSON in UTF-8. GET and HEAD have none.
func readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.ContentLength == 0 {
		r.Body = http.NoBody
		return nil
	}
	if err := checkMediaType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return dynomad.Wrap(dynomad.Malformed, err, "The body did not arrive within %s.", bodyTime)
	case err != nil:
		return dynomad.Wrap(dynomad.Malformed, err, "The body did not arrive whole.")
	}
	// A deadline that passes while the handler works would look as if the client had gone away.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// checkMediaType refuses what is certainly no JSON in UTF-8. Every other type is read as JSON, since curl -d calls all it
// sends a form.
func checkMediaType(contentType string) error {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(strings.TrimSpace(contentType))
	}
	charset := strings.ToLower(params["charset"])
	if strings.HasPrefix(kind, "multipart/") || (charset != "" && charset != "utf-8" && charset != "utf8") {
		return unsupportedMedia
	}
	return nil
}

// unescapeKeys makes a request's path keys what the client meant. One that no name can be (no UTF-8, a control character) fits no
// route.
func unescapeKeys(r *http.Request) error {
	keys := mux.Vars(r) // made for this request alone
	for name, escaped := range keys {
		key, err := url.PathUnescape(escaped)
		if err != nil || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			return dynomad.NotFound
		}
		keys[name] = key
	}
	return nil
}

// withoutTrailingSlash takes one slash off the end of a path. The escaped form decides: "%2F" is no slash.
func withoutTrailingSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		if len(escaped) > 1 && strings.HasSuffix(escaped, "/") {
			trimmed := strings.TrimSuffix(escaped, "/")
			if plain, err := url.PathUnescape(trimmed); err == nil {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = plain, trimmed
			}
		}
		next.ServeHTTP(w, r)
	})
}

// recorder remembers an answer's status, and leaves the body out of answers to HEAD.
type recorder struct {
	http.ResponseWriter
	head     bool
	codings  []string // of the answer that the client takes, as it said
	status   int
	begun    func()    // told of the status of a success, as soon as it is known; may be nil
	switched time.Time // when the connection became something else than HTTP
}

func (w *recorder) WriteHeader(status int) {
	switch {
	case status == http.StatusSwitchingProtocols:
		w.status, w.switched = status, time.Now()
	case w.status == 0 && status >= http.StatusOK:
		w.status = status
		if w.begun != nil && status < http.StatusMultipleChoices {
			w.begun()
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.head {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
