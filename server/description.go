package server

import (
	"net/http"
	"strconv"

	"github.com/dynomad/dynomad/server/openapi"
)

// showDescription answers with the API's description for programs.
func (s *Server) showDescription(w http.ResponseWriter, _ *http.Request) error {
	respondText(w, http.StatusOK, openapi.Document())
	return nil
}

// showDocs answers with the API's description for people. The page loads nothing from anywhere.
func (s *Server) showDocs(w http.ResponseWriter, _ *http.Request) error {
	page, err := openapi.Page()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(page) // fails only when the client is gone
	return nil
}
