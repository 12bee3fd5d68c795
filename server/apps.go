package server

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// appAnswer is an app: the fields of Akkeris and of Heroku, with constants for what has no meaning here and clients still
// look for.
type appAnswer struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`        // the full name: name, dash, space
	Key          string           `json:"key"`         // the full name
	SimpleName   string           `json:"simple_name"` // the name without the space
	Space        named            `json:"space"`
	Description  string           `json:"description"`
	Labels       string           `json:"labels"`      // free text
	Maintenance  bool             `json:"maintenance"` // all dynos are stopped until it is over
	WebURL       string           `json:"web_url"`     // where visitors find it
	Image        string           `json:"image"`       // of the newest release that did not fail; empty before the first
	Formation    []dynoTypeAnswer `json:"formation"`
	Owner        user             `json:"owner"` // the token that made it
	Organization named            `json:"organization"`
	Region       named            `json:"region"`
	Stack        named            `json:"stack"`
	BuildStack   named            `json:"build_stack"`
	NomadURL     string           `json:"nomad_url"` // the page of its job in the Nomad UI
	GitURL       string           `json:"git_url"`
	ACM          bool             `json:"acm"`
	ArchivedAt   *string          `json:"archived_at"`
	CreateStatus string           `json:"create_status"`
	Preview      *onlyID          `json:"preview"`
	RepoSize     int              `json:"repo_size"`
	SlugSize     int              `json:"slug_size"`
	ReleasedAt   *string          `json:"released_at"` // of the newest release
	CreatedAt    string           `json:"created_at"`
	UpdatedAt    string           `json:"updated_at"`
}

// stackName is what every app is built and run on: an image.
const stackName = "container"

func (s *Server) appOf(state dynomad.AppState, l lens) appAnswer {
	app := state.App
	stack := derived("stack", stackName)
	return appAnswer{
		ID: app.ID, Name: app.Name, Key: app.Name, SimpleName: app.SimpleName,
		Space:       named{ID: app.SpaceID, Name: app.Space},
		Description: app.Description, Labels: app.Labels, Maintenance: app.Maintenance, Image: app.Image,
		WebURL:    strings.ReplaceAll(s.cfg.WebURL, "{host}", app.Name+"."+s.cfg.AppDomain),
		Formation: convert(state.Types, func(t dynomad.DynoType) dynoTypeAnswer { return dynoTypeOf(app, t, l) }),
		Owner:     userOf(app.OwnerID, app.OwnerEmail), Organization: orgOf(app.Org),
		Region: s.region(), Stack: stack, BuildStack: stack, NomadURL: s.nomadURL(app), CreateStatus: "complete",
		ReleasedAt: stampOrNull(app.ReleasedAt), CreatedAt: stamp(app.CreatedAt), UpdatedAt: stamp(app.UpdatedAt),
	}
}

func (s *Server) region() named { return derived("region", s.cfg.Region) }

// nomadURL is the page of an app's job in the Nomad UI.
func (s *Server) nomadURL(app dynomad.App) string {
	namespace := app.NomadNamespace
	if namespace == "" {
		namespace = s.cfg.NomadNamespace
	}
	return s.cfg.NomadUIURL + "/jobs/" + app.Name + "@" + namespace
}

func appRef(app dynomad.App) named { return named{ID: app.ID, Name: app.Name} }

// appKey is the app that a request's path names.
func appKey(r *http.Request) string { return mux.Vars(r)["app"] }

func (s *Server) createApp(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	n := dynomad.NewApp{
		Name: o.text("name"), Space: o.text("space"), Org: o.text("org"),
		Description: o.text("description"), Labels: o.text("labels"),
	}
	if o.err != nil {
		return o.err
	}
	state, err := s.platform.CreateApp(r.Context(), n)
	return s.respondApp(w, r, http.StatusCreated, state, err)
}

func (s *Server) listApps(w http.ResponseWriter, r *http.Request) error {
	states, err := s.platform.Apps(r.Context())
	if err != nil {
		return err
	}
	return s.respondApps(w, r, states)
}

func (s *Server) respondApps(w http.ResponseWriter, r *http.Request, states []dynomad.AppState) error {
	l := lensOf(r)
	apps := convert(states, func(state dynomad.AppState) appAnswer { return s.appOf(state, l) })
	return respondList(w, r, apps,
		attribute[appAnswer]{name: "id", of: func(a appAnswer) string { return a.ID }},
		attribute[appAnswer]{name: "name", of: func(a appAnswer) string { return a.Name }})
}

// respondApp ends every handler whose answer is one app.
func (s *Server) respondApp(w http.ResponseWriter, r *http.Request, status int, state dynomad.AppState, err error) error {
	if err != nil {
		return err
	}
	return respond(w, status, s.appOf(state, lensOf(r)))
}

func (s *Server) showApp(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.App(r.Context(), appKey(r))
	return s.respondApp(w, r, http.StatusOK, state, err)
}

func (s *Server) updateApp(w http.ResponseWriter, r *http.Request) error {
	o, err := decodeOptional(r)
	if err != nil {
		return err
	}
	change := dynomad.AppChange{
		Name: o.textOrNil("name"), Maintenance: o.flagOrNil("maintenance"),
		Description: o.textOrNil("description"), Labels: o.textOrNil("labels"),
	}
	if o.err != nil {
		return o.err
	}
	state, err := s.platform.UpdateApp(r.Context(), appKey(r), change)
	return s.respondApp(w, r, http.StatusOK, state, err)
}

func (s *Server) deleteApp(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.DeleteApp(r.Context(), appKey(r))
	return s.respondApp(w, r, http.StatusOK, state, err)
}

// emptyOfApp answers what no app has: add-ons, collaborators.
func (s *Server) emptyOfApp(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.platform.App(r.Context(), appKey(r)); err != nil {
		return err
	}
	return respondList(w, r, []onlyID{}, attribute[onlyID]{name: "id", of: func(o onlyID) string { return o.ID }})
}

// noCoupling answers that an app is in no pipeline.
func (s *Server) noCoupling(_ http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.App(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	return dynomad.Errorf(dynomad.NotFound, "The app %s is in no pipeline.", state.App.Name)
}
