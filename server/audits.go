package server

import (
	"net/http"
	"regexp"

	"github.com/dynomad/dynomad"
)

// auditAnswer is one line of who changed what, when.
type auditAnswer struct {
	ID        string  `json:"id"`
	Action    string  `json:"action"`  // like app.create
	Details   string  `json:"details"` // in a sentence, without values
	App       *named  `json:"app"`
	Space     *string `json:"space"`
	User      user    `json:"user"` // the token
	CreatedAt string  `json:"created_at"`
}

func auditOf(a dynomad.Audit) auditAnswer {
	answer := auditAnswer{
		ID: a.ID, Action: a.Action, Details: a.Details, Space: orNull(a.Space), User: userOf(a.UserID, a.UserEmail),
		CreatedAt: stamp(a.CreatedAt),
	}
	if a.AppID != "" {
		answer.App = &named{ID: a.AppID, Name: a.AppName}
	}
	return answer
}

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// auditFilter reads which audits a request is after; an app is named by its full name or id.
func auditFilter(r *http.Request) dynomad.AuditFilter {
	query := r.URL.Query()
	f := dynomad.AuditFilter{Space: query.Get("space")}
	if app := query.Get("app"); uuidPattern.MatchString(app) {
		f.AppID = app
	} else {
		f.AppName = app
	}
	return f
}

func (s *Server) listAudits(w http.ResponseWriter, r *http.Request) error {
	audits, err := s.platform.Audits(r.Context(), appKey(r), auditFilter(r))
	if err != nil {
		return err
	}
	return respondList(w, r, convert(audits, auditOf),
		attribute[auditAnswer]{name: "id", of: func(a auditAnswer) string { return a.ID }},
		attribute[auditAnswer]{name: "created_at", of: func(a auditAnswer) string { return a.CreatedAt }})
}
