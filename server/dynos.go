package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

// dynoAnswer is a dyno.
type dynoAnswer struct {
	ID             string      `json:"id"`   // the allocation's
	Name           string      `json:"name"` // ten digits, a dash and five letters or digits; `web.1` for Heroku's clients
	Type           string      `json:"type"`
	App            named       `json:"app"`
	Command        *string     `json:"command"` // null is the image's own
	Size           string      `json:"size"`
	State          string      `json:"state"`           // what it is doing; the last four words are for Heroku's clients
	Ready          bool        `json:"ready"`           // it runs and, of web, receives traffic now
	Restarts       int         `json:"restarts"`        // of its process, in place
	Release        dynoRelease `json:"release"`         // the one that it runs
	ExitCode       *int        `json:"exit_code"`       // of one that has ended
	AdditionalInfo string      `json:"additional_info"` // why it is in this state, in a sentence
	AttachURL      string      `json:"attach_url"`      // where a one-off dyno can be attached to
	Node           string      `json:"node"`            // name of the node that it runs on
	NomadURL       string      `json:"nomad_url"`       // its page in the Nomad UI
	CreatedAt      string      `json:"created_at"`
	UpdatedAt      string      `json:"updated_at"`
}

// dynoRelease is the release that a dyno runs.
type dynoRelease struct {
	ID      *string `json:"id"`
	Version int     `json:"version"`
}

// dynoOf words a dyno. Its attach_url stays empty: that of a terminal is shown once, to whom it was made for.
func dynoOf(app dynomad.App, d dynomad.Dyno, l dialect.Dialect) dynoAnswer {
	return dynoAnswer{
		ID: d.ID, Name: l.Name(d), Type: d.Type, App: appRef(app), Command: l.Command(d.Command), Size: d.Size,
		State: l.State(d), Ready: d.Ready, Restarts: d.Restarts,
		Release:  dynoRelease{ID: orNull(d.ReleaseID), Version: d.ReleaseVersion},
		ExitCode: d.ExitCode, AdditionalInfo: d.AdditionalInfo, Node: d.Node, NomadURL: d.NomadURL,
		CreatedAt: stamp(d.CreatedAt), UpdatedAt: stamp(d.UpdatedAt),
	}
}

// sortDynos orders dynos by type, then number, then age.
func sortDynos(dynos []dynomad.Dyno) {
	slices.SortFunc(dynos, func(a, b dynomad.Dyno) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(number(a), number(b)),
			a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}

// number is the N of "type.N".
func number(d dynomad.Dyno) int {
	_, digits, _ := strings.Cut(d.TypeN, ".")
	n, _ := strconv.Atoi(digits) // 0 for a dyno without one
	return n
}

// setStale tells for how long the cluster has not been heard from.
func setStale(w http.ResponseWriter, stale time.Duration) {
	if stale > 0 {
		w.Header().Set("Dynomad-Stale", seconds(stale, 0))
	}
}

// dynoAttributes are what a list of dynos can be cut by.
func dynoAttributes() []attribute[dynoAnswer] {
	return []attribute[dynoAnswer]{
		{name: "id", of: func(a dynoAnswer) string { return a.ID }},
		{name: "name", of: func(a dynoAnswer) string { return a.Name }},
	}
}

// listDynos answers with a list that was made before, if nothing has changed since. What is cut out of one is not kept.
func (s *Server) listDynos(w http.ResponseWriter, r *http.Request) error {
	look, err := s.platform.LookAtDynos(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	setStale(w, look.Stale)
	l := lensOf(r).Dialect
	if r.Header.Get("Range") != "" {
		answers, _, err := s.dynoAnswers(r.Context(), look, l)
		if err != nil {
			return err
		}
		return respondList(w, r, answers, dynoAttributes()...)
	}
	key := bodyKey{look.App().ID, l}
	whole, ok := s.bodies.get(key, look)
	if !ok {
		if whole, err = s.makeBody(r.Context(), key, look, l); err != nil {
			return err
		}
	}
	w.Header().Set("Accept-Ranges", "id, name")
	send(w, http.StatusOK, whole.text, whole.zip)
	return nil
}

// makeBody makes the list that a look leads to, and keeps it.
func (s *Server) makeBody(ctx context.Context, key bodyKey, look dynomad.DynoLook, l dialect.Dialect) (body, error) {
	answers, mark, err := s.dynoAnswers(ctx, look, l)
	if err != nil {
		return body{}, err
	}
	text, err := encode(answers)
	if err != nil {
		return body{}, err
	}
	return s.bodies.put(key, mark, text), nil
}

// dynoAnswers words the dynos that are looked at. That depends on nothing but the look and the dialect.
func (s *Server) dynoAnswers(ctx context.Context, look dynomad.DynoLook, l dialect.Dialect) ([]dynoAnswer, dynomad.DynoMark, error) {
	dynos, mark, err := s.platform.Dynos(ctx, look)
	if err != nil {
		return nil, mark, err
	}
	dynos = slices.DeleteFunc(dynos, func(d dynomad.Dyno) bool { return !l.Lists(d) })
	sortDynos(dynos)
	return convert(dynos, func(d dynomad.Dyno) dynoAnswer { return dynoOf(look.App(), d, l) }), mark, nil
}

func (s *Server) showDyno(w http.ResponseWriter, r *http.Request) error {
	state, d, stale, err := s.platform.Dyno(r.Context(), appKey(r), mux.Vars(r)["dyno"])
	if err != nil {
		return err
	}
	setStale(w, stale)
	return respond(w, http.StatusOK, dynoOf(state.App, d, lensOf(r).Dialect))
}
