package server

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/dynomad/dynomad"
)

// admit finds whose token a request carries and whether it may use the route. The store knows tokens by their hash only,
// so that looking one up takes no longer the more of it is right: whoever measures that learns of a hash, from which no token follows.
// Nothing else compares tokens (TestSecretsAreNotCompared).
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
