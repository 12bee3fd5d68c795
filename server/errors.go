package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/dynomad/dynomad"
)

// The kinds of failure that only HTTP has.
const (
	methodNotAllowed = dynomad.Kind("method_not_allowed")
	notAcceptable    = dynomad.Kind("not_acceptable")
	tooLarge         = dynomad.Kind("too_large")
	unsupportedMedia = dynomad.Kind("unsupported_media")
	badRange         = dynomad.Kind("bad_range")
	upgradeRequired  = dynomad.Kind("upgrade_required")
)

// statusClientGone is what the log says of a request whose client did not wait for the answer.
const statusClientGone = 499

// failure is how a kind of error is answered.
type failure struct {
	status int
	id     string
	text   string // for errors that bring no text of their own
}

// failures says how every kind is answered. A kind that is missing here would be answered as Internal.
var failures = map[dynomad.Kind]failure{
	dynomad.Malformed:       {http.StatusBadRequest, "bad_request", "The request cannot be read."},
	dynomad.Unauthenticated: {http.StatusUnauthorized, "unauthorized", "A valid token is needed in the Authorization header."},
	dynomad.Forbidden:       {http.StatusForbidden, "forbidden", "This token may not do this."},
	dynomad.NotFound:        {http.StatusNotFound, "not_found", "There is nothing at this path."},
	methodNotAllowed:        {http.StatusMethodNotAllowed, "method_not_allowed", "This path does not have that method."},
	notAcceptable:           {http.StatusNotAcceptable, "not_acceptable", "The only version of application/vnd.heroku+json is 3."},
	dynomad.Conflict:        {http.StatusConflict, "conflict", "The present state does not allow this."},
	tooLarge:                {http.StatusRequestEntityTooLarge, "payload_too_large", "The body must not be longer than 1 MiB."},
	unsupportedMedia:        {http.StatusUnsupportedMediaType, "unsupported_media_type", "The body must be JSON in UTF-8."},
	badRange:                {http.StatusRequestedRangeNotSatisfiable, "requested_range_not_satisfiable", "The Range header is not valid."},
	dynomad.Invalid:         {http.StatusUnprocessableEntity, "invalid_params", "The request breaks a rule."},
	upgradeRequired:         {http.StatusUpgradeRequired, "upgrade_required", "This path is a WebSocket, version 13."},
	dynomad.RateLimited:     {http.StatusTooManyRequests, "rate_limit", "This token has sent too many requests."},
	dynomad.Canceled:        {statusClientGone, "canceled", "The client went away."},
	dynomad.Internal:        {http.StatusInternalServerError, "internal", internalText},
	dynomad.Unavailable:     {http.StatusServiceUnavailable, "unavailable", "A part of the platform does not answer."},
	dynomad.Timeout:         {http.StatusGatewayTimeout, "timeout", "The request took too long."},
}

const internalText = "Something went wrong inside the platform; its log says what, under this answer's Request-Id."

// defaultRetry is what Retry-After says when the error does not know better.
const defaultRetry = 5 * time.Second

// errorAnswer is the body of every answer that is no success.
type errorAnswer struct {
	ID      string `json:"id"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

// kindOf finds how to answer an error: as its kind says, unless the client is gone or time ran out.
func kindOf(ctx context.Context, err error) dynomad.Kind {
	kind := dynomad.KindOf(err)
	if errors.Is(ctx.Err(), context.Canceled) || (kind == dynomad.Internal && errors.Is(err, context.Canceled)) {
		return dynomad.Canceled
	}
	if kind == dynomad.Internal && errors.Is(err, context.DeadlineExceeded) {
		return dynomad.Timeout
	}
	if _, known := failures[kind]; !known {
		return dynomad.Internal
	}
	return kind
}

// writeError answers an error. The texts of Internal errors and all causes stay inside.
func writeError(w http.ResponseWriter, kind dynomad.Kind, err error) {
	f := failures[kind]
	answer := errorAnswer{ID: f.id, Message: f.text}
	var retry time.Duration
	var e *dynomad.Error
	if errors.As(err, &e) && kind == e.Kind && kind != dynomad.Internal {
		if e.Message != "" {
			answer.Message = e.Message
		}
		answer.Field, retry = e.Field, e.RetryAfter
	}
	switch kind {
	case dynomad.Canceled:
		w.WriteHeader(f.status) // for nobody
		return
	case dynomad.Unauthenticated:
		w.Header().Set("WWW-Authenticate", `Bearer realm="dynomad"`)
	case dynomad.Unavailable, dynomad.RateLimited:
		w.Header().Set("Retry-After", seconds(retry, defaultRetry))
	}
	if respond(w, f.status, answer) != nil {
		w.WriteHeader(f.status)
	}
}

// seconds words a duration for Retry-After, rounded up.
func seconds(d, otherwise time.Duration) string {
	if d <= 0 {
		d = otherwise
	}
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
