package server

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/dynomad/dynomad"
)

// healthAnswer says that the daemon serves.
type healthAnswer struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// readyAnswer says of each part whether it answers. ID and Message are those of an error, if one does not.
type readyAnswer struct {
	ID       string            `json:"id,omitempty"`
	Message  string            `json:"message,omitempty"`
	Status   string            `json:"status"`
	Parts    map[string]string `json:"parts"`
	Warnings []string          `json:"warnings"`
}

// partOK is what Config.Ready says of a part that answers.
const partOK = "ok"

func (s *Server) showHealth(w http.ResponseWriter, _ *http.Request) error {
	return respond(w, http.StatusOK, healthAnswer{Status: "ok", Version: s.cfg.Version})
}

func (s *Server) showReady(w http.ResponseWriter, r *http.Request) error {
	answer := readyAnswer{Status: "ready", Parts: map[string]string{}, Warnings: []string{}}
	if s.cfg.Ready != nil {
		maps.Copy(answer.Parts, s.cfg.Ready(r.Context()))
	}
	if s.cfg.Notices != nil {
		answer.Warnings = append(answer.Warnings, s.cfg.Notices()...)
	}
	var away []string
	for _, part := range slices.Sorted(maps.Keys(answer.Parts)) {
		if answer.Parts[part] != partOK {
			away = append(away, part)
		}
	}
	if len(away) == 0 {
		return respond(w, http.StatusOK, answer)
	}
	answer.ID, answer.Status = failures[dynomad.Unavailable].id, "unavailable"
	answer.Message = "Not ready: " + strings.Join(away, ", ") + "."
	w.Header().Set("Retry-After", seconds(0, defaultRetry))
	return respond(w, http.StatusServiceUnavailable, answer)
}

func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Metrics == nil {
		return dynomad.NotFound
	}
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}

// noRoute answers every path that is in no route.
func (s *Server) noRoute(http.ResponseWriter, *http.Request) error { return dynomad.NotFound }
