package dynomad

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an error is. It decides the HTTP status and the "id" of the answer, and is itself an
// error, so that errors.Is(err, NotFound) works through any number of wraps.
type Kind string

// The kinds of failure that the platform's rules know. Transports may add kinds of their own.
const (
	Malformed       Kind = "malformed"       // the request cannot be parsed
	Unauthenticated Kind = "unauthenticated" // no token, or one that is not known
	Forbidden       Kind = "forbidden"       // the token may not do this
	NotFound        Kind = "not_found"       // the thing named does not exist, or is hidden from the token
	Conflict        Kind = "conflict"        // the state of the thing does not allow it, or a name is taken
	Invalid         Kind = "invalid"         // well formed, but breaks a rule; Error.Field names what
	RateLimited     Kind = "rate_limited"    // too many requests
	Unavailable     Kind = "unavailable"     // a part that the request needs does not answer
	Timeout         Kind = "timeout"         // the work took longer than it may
	Canceled        Kind = "canceled"        // the client went away
	Internal        Kind = "internal"        // everything else
)

// Error makes a Kind usable as a target of errors.Is.
func (k Kind) Error() string { return string(k) }

// Error is a failure with a text written for the person who sent the request. Cause is for the log only and must never be
// shown to a client.
type Error struct {
	Kind       Kind
	Message    string        // a whole sentence, shown to clients
	Field      string        // the field of the request at fault, for Invalid
	RetryAfter time.Duration // when trying again makes sense, for Unavailable and RateLimited; 0 if unknown
	Cause      error         // what lies beneath, for the log
}

// Error gives the message, followed by the cause if there is one. It is meant for logs.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is this error's Kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// Errorf makes an Error of a kind. The text is shown to clients: a whole sentence, with nothing secret in it.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Invalidf makes an Invalid error about one field of the request. One without a name, which JSON allows, is called "".
func Invalidf(field, format string, args ...any) *Error {
	if field == "" {
		field = `""`
	}
	return &Error{Kind: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error of a kind around a cause. The message is shown to clients, the cause is not.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// KindOf finds the kind of err; errors that are no Error are Internal, and nil has the empty kind.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}
