package server

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// spaceAnswer is a space. NomadNamespace is null for tokens without the scope global.
type spaceAnswer struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	Description    string   `json:"description"`
	Compliance     []string `json:"compliance"`
	NomadNamespace *string  `json:"nomad_namespace"` // of the apps' jobs; null for tokens without the scope global
	Region         named    `json:"region"`
	Stack          named    `json:"stack"`
	State          string   `json:"state"`
	Apps           int      `json:"apps"` // how many it has
	CreatedAt      string   `json:"created_at"`
	UpdatedAt      string   `json:"updated_at"`
}

func (s *Server) spaceOf(space dynomad.Space, l lens) spaceAnswer {
	answer := spaceAnswer{
		ID: space.ID, Name: space.Name, Description: space.Description, Compliance: []string{}, Region: s.region(),
		Stack: derived("stack", stackName), State: "allocated", Apps: space.AppCount,
		CreatedAt: stamp(space.CreatedAt), UpdatedAt: stamp(space.UpdatedAt),
	}
	if l.global {
		answer.NomadNamespace = &space.NomadNamespace
	}
	return answer
}

func (s *Server) respondSpace(w http.ResponseWriter, r *http.Request, status int, space dynomad.Space, err error) error {
	if err != nil {
		return err
	}
	return respond(w, status, s.spaceOf(space, lensOf(r)))
}

func (s *Server) createSpace(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	n := dynomad.NewSpace{
		Name: o.text("name"), Description: o.text("description"), NomadNamespace: o.text("nomad_namespace"),
	}
	if o.err != nil {
		return o.err
	}
	space, err := s.platform.CreateSpace(r.Context(), n)
	return s.respondSpace(w, r, http.StatusCreated, space, err)
}

func (s *Server) listSpaces(w http.ResponseWriter, r *http.Request) error {
	spaces, err := s.platform.Spaces(r.Context())
	if err != nil {
		return err
	}
	l := lensOf(r)
	answers := convert(spaces, func(space dynomad.Space) spaceAnswer { return s.spaceOf(space, l) })
	return respondList(w, r, answers,
		attribute[spaceAnswer]{name: "id", of: func(a spaceAnswer) string { return a.ID }},
		attribute[spaceAnswer]{name: "name", of: func(a spaceAnswer) string { return a.Name }})
}

func (s *Server) showSpace(w http.ResponseWriter, r *http.Request) error {
	space, err := s.platform.Space(r.Context(), mux.Vars(r)["space"])
	return s.respondSpace(w, r, http.StatusOK, space, err)
}

func (s *Server) deleteSpace(w http.ResponseWriter, r *http.Request) error {
	space, err := s.platform.DeleteSpace(r.Context(), mux.Vars(r)["space"])
	return s.respondSpace(w, r, http.StatusOK, space, err)
}
