package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// authorizationAnswer is a token's record, in Heroku's shape. The token itself is null but in the answer that makes it.
type authorizationAnswer struct {
	ID           string          `json:"id"`
	Description  string          `json:"description"`
	Scope        []dynomad.Scope `json:"scope"`
	AccessToken  accessToken     `json:"access_token"`
	App          *onlyID         `json:"app"`   // the app that it is tied to
	Space        *onlyID         `json:"space"` // the space that it is tied to
	User         authUser        `json:"user"`
	Client       *onlyID         `json:"client"`
	Grant        *onlyID         `json:"grant"`
	RefreshToken *onlyID         `json:"refresh_token"`
	Session      *onlyID         `json:"session"`
	CreatedAt    string          `json:"created_at"`
	UpdatedAt    string          `json:"updated_at"`
}

type accessToken struct {
	ID        string  `json:"id"`
	Token     *string `json:"token"`      // shown once, when it is made
	ExpiresIn *int    `json:"expires_in"` // seconds; null is never
}

type authUser struct {
	user
	FullName *string `json:"full_name"`
}

// authorizationOf words a record; token is the secret, "" where it is not to be shown.
func (s *Server) authorizationOf(a dynomad.Authorization, token string) authorizationAnswer {
	answer := authorizationAnswer{
		ID: a.ID, Description: a.Description, Scope: append([]dynomad.Scope{}, a.Scopes...),
		AccessToken: accessToken{ID: a.ID, Token: orNull(token)}, App: refer(a.AppID), Space: refer(a.SpaceID),
		User: authUser{user: userOf(a.ID, a.Email)}, CreatedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt),
	}
	if a.ExpiresAt != nil {
		left := max(0, int(a.ExpiresAt.Sub(s.cfg.Now()).Round(time.Second)/time.Second))
		answer.AccessToken.ExpiresIn = &left
	}
	return answer
}

// longestToken is the longest life of a token that can be asked for, in seconds: 100 years.
const longestToken = 100 * 365 * 24 * 60 * 60

func newAuthorization(o *object) dynomad.NewAuthorization {
	n := dynomad.NewAuthorization{Description: o.text("description"), App: o.text("app"), Space: o.text("space")}
	for _, scope := range o.texts("scope") {
		n.Scopes = append(n.Scopes, dynomad.Scope(scope))
	}
	n.ExpiresIn = field(o, "expires_in", "seconds, from 1 to 100 years", asSeconds).Value
	return n
}

// asSeconds reads a whole number of seconds.
func asSeconds(raw json.RawMessage) (time.Duration, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return time.Duration(n) * time.Second, err == nil && n >= 1 && n <= longestToken
}

func (s *Server) createAuthorization(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	n := newAuthorization(o)
	if o.err != nil {
		return o.err
	}
	token := s.cfg.NewToken()
	a, err := s.platform.CreateAuthorization(r.Context(), n, token)
	if err != nil {
		return err
	}
	return respond(w, http.StatusCreated, s.authorizationOf(a, token))
}

func (s *Server) listAuthorizations(w http.ResponseWriter, r *http.Request) error {
	all, err := s.platform.Authorizations(r.Context())
	if err != nil {
		return err
	}
	answers := convert(all, func(a dynomad.Authorization) authorizationAnswer { return s.authorizationOf(a, "") })
	return respondList(w, r, answers,
		attribute[authorizationAnswer]{name: "id", of: func(a authorizationAnswer) string { return a.ID }},
		attribute[authorizationAnswer]{name: "created_at", of: func(a authorizationAnswer) string { return a.CreatedAt }})
}

// respondAuthorization ends the handlers whose answer is one record without its secret.
func (s *Server) respondAuthorization(w http.ResponseWriter, a dynomad.Authorization, err error) error {
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, s.authorizationOf(a, ""))
}

func (s *Server) showAuthorization(w http.ResponseWriter, r *http.Request) error {
	a, err := s.platform.Authorization(r.Context(), mux.Vars(r)["authorization"])
	return s.respondAuthorization(w, a, err)
}

func (s *Server) deleteAuthorization(w http.ResponseWriter, r *http.Request) error {
	a, err := s.platform.DeleteAuthorization(r.Context(), mux.Vars(r)["authorization"])
	return s.respondAuthorization(w, a, err)
}
