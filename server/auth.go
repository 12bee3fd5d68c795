package server

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dynomad/dynomad"
)

// admit finds whose token a request carries and whether it may use the route. The store knows tokens by their hash only,
// so that looking one up takes no longer the more of it is right.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, rt route) (*http.Request, error) {
	token := tokenOf(r.Header.Get("Authorization"))
	if token == "" {
		return r, dynomad.Unauthenticated
	}
	who, err := s.platform.Authenticate(r.Context(), token)
	if err != nil {
		return r, err
	}
	if err := s.limit(w, who.TokenID, rt); err != nil {
		return r, err
	}
	if !who.Has(rt.scope) {
		return r, dynomad.Errorf(dynomad.Forbidden, "This token lacks the scope %s.", rt.scope)
	}
	tied := who.AppID != "" || who.SpaceID != ""
	if tied && rt.scope == dynomad.ScopeGlobal && !rt.tied {
		return r, dynomad.Errorf(dynomad.Forbidden, "This token is tied to one app or space and may not do this.")
	}
	return r.WithContext(dynomad.WithPrincipal(r.Context(), who)), nil
}

// tokenOf takes the token out of an Authorization header: after Bearer, as the password of Basic, or the bare header.
func tokenOf(header string) string {
	header = strings.TrimSpace(header)
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "bearer":
		return rest
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(plain), ":")
		return password
	}
	return header
}

// unlimited is what RateLimit-Remaining says where there is no limit: Heroku's own full account.
const unlimited = "4500"

// limit counts a request against its token's limit.
func (s *Server) limit(w http.ResponseWriter, tokenID string, rt route) error {
	if s.limiter == nil {
		return nil
	}
	cost := 1
	if rt.uncounted {
		cost = 0
	}
	left, wait := s.limiter.take(tokenID, cost)
	w.Header().Set("RateLimit-Remaining", strconv.Itoa(left))
	if wait > 0 {
		return &dynomad.Error{
			Kind: dynomad.RateLimited, RetryAfter: wait,
			Message: "This token has sent more requests than it may in a minute.",
		}
	}
	return nil
}

// limiter allows each token a number of requests a minute. An account fills up again evenly over the minute. A nil limiter
// allows everything.
type limiter struct {
	perMinute int
	now       func() time.Time

	mu       sync.Mutex
	accounts map[string]account
}

type account struct {
	left float64
	at   time.Time
}

// maxAccounts bounds the limiter's memory; past it, accounts that are full again are forgotten.
const maxAccounts = 10_000

func newLimiter(perMinute int, now func() time.Time) *limiter {
	if perMinute <= 0 {
		return nil
	}
	return &limiter{perMinute: perMinute, now: now, accounts: map[string]account{}}
}

// take takes a request's cost off an account. It gives how many are left and, if there were too few, how long to wait.
func (l *limiter) take(key string, cost int) (left int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, full := l.now(), float64(l.perMinute)
	perRequest := time.Minute / time.Duration(l.perMinute)
	a, ok := l.accounts[key]
	if !ok {
		l.forget(now)
		a = account{left: full, at: now}
	}
	passed := max(now.Sub(a.at), 0) // a clock that was set back takes nothing away
	a.left = min(full, a.left+float64(passed)/float64(perRequest))
	a.at = now
	if a.left < float64(cost) {
		wait = time.Duration((float64(cost) - a.left) * float64(perRequest))
	} else {
		a.left -= float64(cost)
	}
	l.accounts[key] = a
	return int(a.left), wait
}

func (l *limiter) forget(now time.Time) {
	if len(l.accounts) < maxAccounts {
		return
	}
	for key, a := range l.accounts {
		if now.Sub(a.at) >= time.Minute {
			delete(l.accounts, key)
		}
	}
}
