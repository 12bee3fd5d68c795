package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an answer of the API that is no success.
type Error struct {
	Status     int           // of HTTP
	ID         string        // for programs: not_found, conflict, invalid_params …
	Message    string        // for people
	Field      string        // at fault, if the ID is invalid_params
	RequestID  string        // under which the daemon's log has more
	RetryAfter time.Duration // when to try again; 0 is unknown
}

// Error gives the message, which names the thing and the rule.
func (e *Error) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("the daemon answered %d %s", e.Status, http.StatusText(e.Status))
}

// asError is errors.As for *Error.
func asError(err error, to **Error) bool { return errors.As(err, to) }

// IsNotFound reports whether an error says that something does not exist, or is hidden from the token.
func IsNotFound(err error) bool {
	var e *Error
	return asError(err, &e) && e.Status == http.StatusNotFound
}

// maxMessage bounds what is shown of an answer that is not the API's.
const maxMessage = 200

// errorOf makes an Error of an answer.
func errorOf(resp *http.Response, text []byte) *Error {
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("Request-Id")}
	const longest = 1 << 31 // in seconds; more is no answer of the API's
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds < longest {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var body struct{ ID, Message, Field string }
	if json.Unmarshal(text, &body) == nil && body.ID != "" {
		e.ID, e.Message, e.Field = body.ID, body.Message, body.Field
		return e
	}
	said := strings.ToValidUTF8(strings.Join(strings.Fields(string(text[:min(len(text), maxMessage)])), " "), "")
	e.Message = fmt.Sprintf("%s answered %d %s, which is no answer of Dynomad's: %s", resp.Request.URL.Host, e.Status, http.StatusText(e.Status), said)
	return e
}
