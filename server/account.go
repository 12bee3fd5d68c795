package server

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// accountAnswer is who holds the request's token.
type accountAnswer struct {
	ID                      string  `json:"id"`
	Email                   string  `json:"email"`
	Name                    string  `json:"name"`
	AllowTracking           bool    `json:"allow_tracking"`
	Beta                    bool    `json:"beta"`
	Federated               bool    `json:"federated"`
	TwoFactorAuthentication bool    `json:"two_factor_authentication"`
	Verified                bool    `json:"verified"`
	DefaultOrganization     *named  `json:"default_organization"`
	DefaultTeam             *named  `json:"default_team"`
	LastLogin               *string `json:"last_login"`
}

// orgAnswer is an organization: a word that apps carry, and nothing else.
type orgAnswer struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Default   bool   `json:"default"`
	Role      string `json:"role"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

// defaultOrg is the organization of apps that name none: Akkeris's clients take its name for granted.
const defaultOrg = "default"

func orgOf(name string) named {
	return derived("organization", cmp.Or(name, defaultOrg))
}

// orgsOf gives the organizations of apps, by name. One is as old as its oldest app.
func orgsOf(states []dynomad.AppState) []orgAnswer {
	oldest := map[string]dynomad.App{}
	for _, state := range states {
		name := orgOf(state.App.Org).Name
		if known, ok := oldest[name]; !ok || state.App.CreatedAt.Before(known.CreatedAt) {
			oldest[name] = state.App
		}
	}
	orgs := make([]orgAnswer, 0, len(oldest))
	for name, app := range oldest {
		created := stamp(app.CreatedAt)
		orgs = append(orgs, orgAnswer{ID: orgOf(name).ID, Name: name, Role: "admin", CreatedAt: created, UpdatedAt: created})
	}
	slices.SortFunc(orgs, func(a, b orgAnswer) int { return cmp.Compare(a.Name, b.Name) })
	return orgs
}

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request) error {
	who := dynomad.PrincipalFrom(r.Context())
	account := userOf(who.TokenID, who.Email)
	return respond(w, http.StatusOK, accountAnswer{ID: account.ID, Email: account.Email, Name: account.Email, Verified: true})
}

// showRateLimits repeats what the adapter has put into the header of this very answer.
func (s *Server) showRateLimits(w http.ResponseWriter, _ *http.Request) error {
	remaining, err := strconv.Atoi(w.Header().Get("RateLimit-Remaining"))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, map[string]int{"remaining": remaining})
}

func (s *Server) listOrganizations(w http.ResponseWriter, r *http.Request) error {
	states, err := s.platform.Apps(r.Context())
	if err != nil {
		return err
	}
	return respondList(w, r, orgsOf(states),
		attribute[orgAnswer]{name: "id", of: func(a orgAnswer) string { return a.ID }},
		attribute[orgAnswer]{name: "name", of: func(a orgAnswer) string { return a.Name }})
}

func (s *Server) listFavorites(w http.ResponseWriter, r *http.Request) error {
	states, err := s.platform.Favorites(r.Context())
	if err != nil {
		return err
	}
	return s.respondApps(w, r, states)
}

// favoriteKey is the app that a request names in its body.
func favoriteKey(r *http.Request) (string, error) {
	o, err := decode(r)
	if err != nil {
		return "", err
	}
	key := o.text("app")
	if key == "" {
		o.fail("app", "the name or id of an app")
	}
	return key, o.err
}

func (s *Server) addFavorite(w http.ResponseWriter, r *http.Request) error {
	key, err := favoriteKey(r)
	if err != nil {
		return err
	}
	state, err := s.platform.AddFavorite(r.Context(), key)
	return s.respondApp(w, r, http.StatusCreated, state, err)
}

func (s *Server) removeFavorite(w http.ResponseWriter, r *http.Request) error {
	key, err := favoriteKey(r)
	if err != nil {
		return err
	}
	state, err := s.platform.RemoveFavorite(r.Context(), key)
	return s.respondApp(w, r, http.StatusOK, state, err)
}

// removeFavoriteApp is removeFavorite with the app in the path.
func (s *Server) removeFavoriteApp(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.RemoveFavorite(r.Context(), mux.Vars(r)["app"])
	return s.respondApp(w, r, http.StatusOK, state, err)
}
