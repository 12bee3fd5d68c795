package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/dynomad/dynomad/client"
)

// The exit codes. docs/cli.md promises them.
const (
	exitFailed      = 1   // the API refused, or something here went wrong
	exitUsage       = 2   // the command line is wrong; nothing was sent
	exitNotFound    = 3   // there is no such thing
	exitNotAllowed  = 4   // no valid token, or one without the right
	exitUnavailable = 5   // the daemon cannot be reached, or a part of the platform does not answer
	exitRelease     = 6   // the release failed
	exitTimeout     = 7   // it was waited for long enough
	exitInterrupted = 130 // Ctrl-C
)

// failure is an error with what to do next.
type failure struct {
	err  error
	hint string
	code int
}

// Error gives the error, and below it the hint.
func (f *failure) Error() string {
	if f.hint == "" {
		return f.err.Error()
	}
	return f.err.Error() + "\n  " + f.hint
}

// Unwrap gives the error alone.
func (f *failure) Unwrap() error { return f.err }

// withHint says what to do next.
func (f *failure) withHint(format string, args ...any) *failure {
	return &failure{err: f.err, code: f.code, hint: fmt.Sprintf(format, args...)}
}

func failed(code int, format string, args ...any) *failure {
	return &failure{err: fmt.Errorf(format, args...), code: code}
}

// usage is an error in the command line.
func usage(format string, args ...any) *failure { return failed(exitUsage, format, args...) }

// errTimeout is the end of a wait.
var errTimeout = errors.New("it took too long")

// ExitCode gives the code that the process ends with.
func ExitCode(err error) int {
	var f *failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.code
	}
	return exitFailed
}

// explain gives an error its exit code, and says what to do next.
func explain(ctx context.Context, c *call, err error) error {
	var f *failure
	var e *client.Error
	var u *url.Error
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return failed(exitInterrupted, "interrupted")
	case errors.Is(err, errTimeout):
		return failed(exitTimeout, "%w", err).withHint("what was asked for goes on; --timeout waits longer")
	case errors.As(err, &e):
		return explainAnswer(c, e)
	case errors.As(err, &u):
		return explainNetwork(c, u)
	}
	return failed(exitFailed, "%w", err)
}

// explainAnswer says what to do about an answer of the API.
func explainAnswer(c *call, e *client.Error) error {
	switch e.Status {
	case http.StatusUnauthorized:
		if c.target.Token == "" {
			return failed(exitNotAllowed, "there is no token for %s", c.target.URL).withHint("dynomad login %s, or set DYNOMAD_TOKEN", c.target.URL)
		}
		return failed(exitNotAllowed, "%s does not know the token from %s, or it has expired", c.target.URL, c.target.from).
			withHint("dynomad login %s, or set DYNOMAD_TOKEN", c.target.URL)
	case http.StatusForbidden:
		return failed(exitNotAllowed, "%w", e)
	case http.StatusNotFound:
		f := failed(exitNotFound, "%w", e)
		if c.app != "" && strings.Contains(e.Message, "app "+c.app+" ") {
			f = f.withHint("dynomad apps lists those that there are")
		}
		return f
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway, http.StatusTooManyRequests:
		return failed(exitUnavailable, "%w", e).withHint("try again in a moment; %s/readyz says what does not answer", c.target.URL)
	case http.StatusInternalServerError:
		return failed(exitFailed, "%w", e).withHint("Request-Id: %s", e.RequestID)
	}
	return failed(exitFailed, "%w", e)
}

// explainNetwork says what to do if there is no answer.
func explainNetwork(c *call, u *url.Error) error {
	where := "DYNOMAD_URL says where it is, or dynomad login URL"
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(u, &unknown):
		return failed(exitUnavailable, "%s has a certificate that this machine does not trust: %w", c.target.URL, u.Err).
			withHint("DYNOMAD_CA_CERT names a file with the certificate that signed it")
	case u.Timeout():
		return failed(exitUnavailable, "%s does not answer", c.target.URL).withHint("%s", where)
	case errors.As(u, &dns):
		return failed(exitUnavailable, "there is no host %s", dns.Name).withHint("%s", where)
	}
	return failed(exitUnavailable, "%s cannot be reached: %w", c.target.URL, u.Err).withHint("is the daemon running there? %s", where)
}
