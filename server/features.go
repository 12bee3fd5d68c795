package server

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// featureAnswer is something of an app that can be on or off.
type featureAnswer struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"display_name"`
	Description string `json:"description"`
	DocURL      string `json:"doc_url"`
	State       string `json:"state"`
	Enabled     bool   `json:"enabled"`
	CreatedAt   string `json:"created_at"`
	UpdatedAt   string `json:"updated_at"`
}

// autoRelease is the one feature that can be changed.
const autoRelease = "auto-release"

// featuresOf gives an app's features by name. Akkeris has http2 too; here it is up to the router, and always on.
func featuresOf(state dynomad.AppState) []featureAnswer {
	feature := func(name, display, description string, enabled bool) featureAnswer {
		return featureAnswer{
			ID: derived("feature", name).ID, Name: name, DisplayName: display, Description: description,
			State: "general", Enabled: enabled,
			CreatedAt: stamp(state.App.CreatedAt), UpdatedAt: stamp(state.App.UpdatedAt),
		}
	}
	return []featureAnswer{
		feature(autoRelease, "Auto Release", "Release a build as soon as it has succeeded.", state.App.AutoRelease),
		feature("http2", "HTTP/2", "Let the router speak HTTP/2 to visitors.", true),
	}
}

func findFeature(state dynomad.AppState, name string) (featureAnswer, error) {
	for _, f := range featuresOf(state) {
		if f.Name == name || f.ID == name {
			return f, nil
		}
	}
	return featureAnswer{}, dynomad.Errorf(dynomad.NotFound, "The feature %s does not exist.", clip(name))
}

func (s *Server) listFeatures(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.App(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	return respondList(w, r, featuresOf(state),
		attribute[featureAnswer]{name: "id", of: func(a featureAnswer) string { return a.ID }},
		attribute[featureAnswer]{name: "name", of: func(a featureAnswer) string { return a.Name }})
}

func (s *Server) showFeature(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.App(r.Context(), appKey(r))
	return respondFeature(w, r, state, err)
}

// respondFeature answers the feature that the path names.
func respondFeature(w http.ResponseWriter, r *http.Request, state dynomad.AppState, err error) error {
	if err != nil {
		return err
	}
	f, err := findFeature(state, mux.Vars(r)["feature"])
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, f)
}

func (s *Server) updateFeature(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	enabled := o.flagOrNil("enabled")
	if enabled == nil {
		o.fail("enabled", "true or false")
		return o.err
	}
	state, err := s.platform.App(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	f, err := findFeature(state, mux.Vars(r)["feature"])
	switch {
	case err != nil:
		return err
	case f.Name == autoRelease:
		state, err = s.platform.SetAutoRelease(r.Context(), appKey(r), *enabled)
	case f.Enabled != *enabled:
		err = dynomad.Errorf(dynomad.Conflict, "The feature %s cannot be changed.", f.Name)
	}
	return respondFeature(w, r, state, err)
}
