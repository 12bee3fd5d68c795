package server

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// buildAnswer is a build, and the slug that it made: both have one id.
type buildAnswer struct {
	ID              string            `json:"id"`
	App             named             `json:"app"`
	Number          int               `json:"number"` // 1, 2, 3 … in the app
	Image           string            `json:"image"`
	SourceBlob      sourceBlob        `json:"source_blob"`
	ProcessTypes    map[string]string `json:"process_types"` // dyno types and their commands
	Buildpacks      []string          `json:"buildpacks"`
	Stack           string            `json:"stack"`
	Status          string            `json:"status"`
	OutputStreamURL string            `json:"output_stream_url"`
	Release         *onlyID           `json:"release"` // its first release; null if there is none
	Slug            *onlyID           `json:"slug"`
	User            user              `json:"user"`
	AdditionalInfo  string            `json:"additional_info"` // a warning about tags that move
	CreatedAt       string            `json:"created_at"`
	UpdatedAt       string            `json:"updated_at"`
}

// sourceBlob is where a build came from.
type sourceBlob struct {
	URL      string  `json:"url"`
	Checksum *string `json:"checksum"`
	Version  *string `json:"version"`
	Commit   *string `json:"commit"`
	Branch   *string `json:"branch"`
	Repo     *string `json:"repo"`
	Author   *string `json:"author"`
	Message  *string `json:"message"`
}

// buildResult is a build's output: none, since images are made elsewhere.
type buildResult struct {
	Build struct {
		ID              string `json:"id"`
		Status          string `json:"status"`
		OutputStreamURL string `json:"output_stream_url"`
	} `json:"build"`
	Lines []string `json:"lines"`
}

// tagInfo warns of what a tag is not.
const tagInfo = "Nodes pull this tag on their own: if it is pushed again they may differ. A digest names one image for good."

func (s *Server) buildOf(b dynomad.Build) buildAnswer {
	answer := buildAnswer{
		ID: b.ID, App: named{ID: b.AppID, Name: b.AppName}, Number: b.Number, Image: b.Image,
		SourceBlob: sourceBlob{
			URL: b.URL, Checksum: orNull(b.Checksum), Version: orNull(b.Version), Commit: orNull(b.SHA),
			Branch: orNull(b.Branch), Repo: orNull(b.Repo), Author: orNull(b.Author), Message: orNull(b.Message),
		},
		ProcessTypes: configOf(b.ProcessTypes), Buildpacks: []string{}, Stack: stackName, Status: b.Status,
		OutputStreamURL: s.resultURL(b), Release: refer(b.ReleaseID), User: userOf(b.UserID, b.UserEmail),
		CreatedAt: stamp(b.CreatedAt), UpdatedAt: stamp(b.UpdatedAt),
	}
	if b.Status == dynomad.BuildSucceeded {
		answer.Slug = refer(b.ID)
	}
	if !strings.Contains(b.Image, "@") {
		answer.AdditionalInfo = tagInfo
	}
	return answer
}

func (s *Server) resultURL(b dynomad.Build) string {
	return s.cfg.ExternalURL + "/apps/" + b.AppName + "/builds/" + b.ID + "/result"
}

// buildKey is the build that a request's path names.
func buildKey(r *http.Request) string { return mux.Vars(r)["build"] }

// newBuild reads a build to make; Heroku's clients put the source into an object of its own.
func newBuild(o *object) dynomad.NewBuild {
	source := o
	if blob := o.child("source_blob"); blob != nil {
		source = blob
	}
	n := dynomad.NewBuild{
		URL: source.text("url"), Checksum: source.text("checksum"), Version: source.text("version"), SHA: o.text("sha"),
		Branch: o.text("branch"), Repo: o.text("repo"), Author: o.text("author"), Message: o.text("message"),
		ProcessTypes: o.commands("process_types"),
	}
	if o.err == nil {
		o.err = source.err
	}
	return n
}

func (s *Server) respondBuild(w http.ResponseWriter, status int, b dynomad.Build, err error) error {
	if err != nil {
		return err
	}
	return respond(w, status, s.buildOf(b))
}

func (s *Server) createBuild(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	n := newBuild(o)
	if o.err != nil {
		return o.err
	}
	state, b, err := s.platform.CreateBuild(r.Context(), appKey(r), n)
	noteRelease(r, state)
	return s.respondBuild(w, http.StatusCreated, b, err)
}

func (s *Server) listBuilds(w http.ResponseWriter, r *http.Request) error {
	_, builds, err := s.platform.Builds(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	return respondList(w, r, convert(builds, s.buildOf),
		attribute[buildAnswer]{name: "id", of: func(a buildAnswer) string { return a.ID }},
		attribute[buildAnswer]{name: "created_at", of: func(a buildAnswer) string { return a.CreatedAt }})
}

func (s *Server) showBuild(w http.ResponseWriter, r *http.Request) error {
	_, b, err := s.platform.Build(r.Context(), appKey(r), buildKey(r))
	return s.respondBuild(w, http.StatusOK, b, err)
}

func (s *Server) showResult(w http.ResponseWriter, r *http.Request) error {
	_, b, err := s.platform.Build(r.Context(), appKey(r), buildKey(r))
	if err != nil {
		return err
	}
	result := buildResult{Lines: []string{}}
	result.Build.ID, result.Build.Status, result.Build.OutputStreamURL = b.ID, b.Status, s.resultURL(b)
	return respond(w, http.StatusOK, result)
}

func (s *Server) rebuild(w http.ResponseWriter, r *http.Request) error {
	if _, err := decodeOptional(r); err != nil {
		return err
	}
	state, b, err := s.platform.Rebuild(r.Context(), appKey(r), buildKey(r))
	noteRelease(r, state)
	return s.respondBuild(w, http.StatusCreated, b, err)
}

// deleteBuild would stop a build. Every build has ended as soon as it is there.
func (s *Server) deleteBuild(_ http.ResponseWriter, r *http.Request) error {
	_, b, err := s.platform.Build(r.Context(), appKey(r), buildKey(r))
	if err != nil {
		return err
	}
	return dynomad.Errorf(dynomad.Conflict, "The build has ended (%s) and cannot be stopped.", b.Status)
}

func (s *Server) showSlug(w http.ResponseWriter, r *http.Request) error {
	b, err := s.platform.Slug(r.Context(), mux.Vars(r)["slug"])
	return s.respondBuild(w, http.StatusOK, b, err)
}
