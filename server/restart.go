package server

import (
	"net/http"

	"github.com/gorilla/mux"
)

// pendingAnswer says that a restart is on its way. Type is left out where all types are meant.
type pendingAnswer struct {
	Status string `json:"status"`
	Type   string `json:"type,omitempty"`
}

func pending(w http.ResponseWriter, dynoType string) error {
	return respond(w, http.StatusAccepted, pendingAnswer{Status: "pending", Type: dynoType})
}

func (s *Server) restartAll(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.platform.RestartAll(r.Context(), appKey(r)); err != nil {
		return err
	}
	return pending(w, "")
}

func (s *Server) restartDynoOrType(w http.ResponseWriter, r *http.Request) error {
	_, dynoType, err := s.platform.RestartDynoOrType(r.Context(), appKey(r), mux.Vars(r)["dyno"])
	if err != nil {
		return err
	}
	return pending(w, dynoType)
}

func (s *Server) restartType(w http.ResponseWriter, r *http.Request) error {
	_, t, err := s.platform.RestartType(r.Context(), appKey(r), mux.Vars(r)["type"])
	if err != nil {
		return err
	}
	return pending(w, t.Type)
}

func (s *Server) stopDyno(w http.ResponseWriter, r *http.Request) error {
	_, dynoType, err := s.platform.StopDyno(r.Context(), appKey(r), mux.Vars(r)["dyno"])
	if err != nil {
		return err
	}
	return pending(w, dynoType)
}
