package server

import (
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// releaseAnswer is a release. What only Heroku has is null, or an empty list.
type releaseAnswer struct {
	ID                  string   `json:"id"`
	Version             int      `json:"version"`
	Status              string   `json:"status"`  // how its rollout went
	State               string   `json:"state"`   // the same in Akkeris's words
	Current             bool     `json:"current"` // the newest that succeeded
	Description         string   `json:"description"`
	AdditionalInfo      string   `json:"additional_info"` // why it failed
	App                 named    `json:"app"`
	Slug                *onlyID  `json:"slug"`                  // the build that it runs; null before the first
	User                user     `json:"user"`                  // the token that made it
	EligibleForRollback bool     `json:"eligible_for_rollback"` // it succeeded and has a slug
	AddonPlanNames      []string `json:"addon_plan_names"`
	Artifacts           []onlyID `json:"artifacts"`
	OutputStreamURL     *string  `json:"output_stream_url"`
	CreatedAt           string   `json:"created_at"`
	UpdatedAt           string   `json:"updated_at"`
}

// statusesAnswer are the reports of outside checks on a release: there are none.
type statusesAnswer struct {
	State    string        `json:"state"`
	Release  releaseAnswer `json:"release"`
	Statuses []onlyID      `json:"statuses"`
}

func releaseOf(app dynomad.App, rel dynomad.Release) releaseAnswer {
	return releaseAnswer{
		ID: rel.ID, Version: rel.Version, Status: rel.Status, State: releaseState(rel.Status), Current: rel.Current,
		Description: rel.Description, AdditionalInfo: rel.AdditionalInfo, App: appRef(app), Slug: refer(rel.BuildID),
		User:                userOf(rel.UserID, rel.UserEmail),
		EligibleForRollback: rel.BuildID != "" && rel.Status == dynomad.ReleaseSucceeded,
		AddonPlanNames:      []string{}, Artifacts: []onlyID{},
		CreatedAt: stamp(rel.CreatedAt), UpdatedAt: stamp(rel.UpdatedAt),
	}
}

// releaseState is Akkeris's word for a release's status.
func releaseState(status string) string {
	switch status {
	case dynomad.ReleaseSucceeded:
		return "success"
	case dynomad.ReleaseFailed:
		return "failure"
	}
	return status
}

// releaseKey is the release that a request's path names.
func releaseKey(r *http.Request) string { return mux.Vars(r)["release"] }

// respondRelease ends every handler whose answer is one release.
func respondRelease(w http.ResponseWriter, status int, state dynomad.AppState, rel dynomad.Release, err error) error {
	if err != nil {
		return err
	}
	return respond(w, status, releaseOf(state.App, rel))
}

func (s *Server) createRelease(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	n := dynomad.NewRelease{
		Slug: o.text("slug"), Release: o.key("release"), Description: o.text("description"),
	}
	if o.err != nil {
		return o.err
	}
	state, rel, err := s.platform.CreateRelease(r.Context(), appKey(r), n)
	noteRelease(r, state)
	return respondRelease(w, http.StatusCreated, state, rel, err)
}

func (s *Server) listReleases(w http.ResponseWriter, r *http.Request) error {
	state, releases, err := s.platform.Releases(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	answers := convert(releases, func(rel dynomad.Release) releaseAnswer { return releaseOf(state.App, rel) })
	return respondList(w, r, answers,
		attribute[releaseAnswer]{name: "id", of: func(a releaseAnswer) string { return a.ID }},
		attribute[releaseAnswer]{
			name: "version", numeric: true, of: func(a releaseAnswer) string { return strconv.Itoa(a.Version) },
		})
}

func (s *Server) showRelease(w http.ResponseWriter, r *http.Request) error {
	state, rel, err := s.platform.Release(r.Context(), appKey(r), releaseKey(r))
	return respondRelease(w, http.StatusOK, state, rel, err)
}

func (s *Server) showStatuses(w http.ResponseWriter, r *http.Request) error {
	state, rel, err := s.platform.Release(r.Context(), appKey(r), releaseKey(r))
	if err != nil {
		return err
	}
	answer := statusesAnswer{State: releaseState(rel.Status), Release: releaseOf(state.App, rel), Statuses: []onlyID{}}
	return respond(w, http.StatusOK, answer)
}
