package server

import (
	"net/http"

	"github.com/dynomad/dynomad"
)

// noteAnswer is what is known of a config var besides its value.
type noteAnswer struct {
	Type        string  `json:"type"`
	Addon       *onlyID `json:"addon"`
	ReadOnly    bool    `json:"read_only"`
	Required    bool    `json:"required"`
	Description string  `json:"description"`
}

// configOf gives config vars as they are answered: a flat object, never null.
func configOf(vars dynomad.ConfigVars) map[string]string {
	if vars == nil {
		return map[string]string{}
	}
	return vars
}

func notesOf(notes map[string]dynomad.VarNote) map[string]noteAnswer {
	answer := make(map[string]noteAnswer, len(notes))
	for name, note := range notes {
		answer[name] = noteAnswer{Type: "user", Required: note.Required, Description: note.Description}
	}
	return answer
}

// configChange reads a change to config vars: null removes one.
func configChange(o *object) (dynomad.ConfigChange, error) {
	change := make(dynomad.ConfigChange, len(o.fields))
	for _, name := range o.names() {
		change[name] = pointer(field(o, name, "text, a number, true, false or null", asValue))
	}
	return change, o.err
}

// noteChange reads a change to notes; null takes a note away.
func noteChange(o *object) (map[string]dynomad.NoteChange, error) {
	change := make(map[string]dynomad.NoteChange, len(o.fields))
	for _, name := range o.names() {
		inner := o.child(name)
		if inner == nil {
			change[name] = dynomad.NoteChange{Required: new(bool), Description: new(string)}
			continue
		}
		change[name] = dynomad.NoteChange{Required: inner.flagOrNil("required"), Description: inner.textOrNil("description")}
		if o.err == nil {
			o.err = inner.err
		}
	}
	return change, o.err
}

func (s *Server) showConfig(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.App(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, configOf(state.Config))
}

func (s *Server) updateConfig(w http.ResponseWriter, r *http.Request) error {
	o, err := decodeOptional(r)
	if err != nil {
		return err
	}
	change, err := configChange(o)
	if err != nil {
		return err
	}
	state, err := s.platform.ChangeConfig(r.Context(), appKey(r), change)
	if err != nil {
		return err
	}
	noteRelease(r, state)
	return respond(w, http.StatusOK, configOf(state.Config))
}

func (s *Server) showReleaseConfig(w http.ResponseWriter, r *http.Request) error {
	vars, err := s.platform.ReleaseConfig(r.Context(), appKey(r), releaseKey(r))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, configOf(vars))
}

func (s *Server) showNotes(w http.ResponseWriter, r *http.Request) error {
	notes, err := s.platform.Notes(r.Context(), appKey(r))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, notesOf(notes))
}

func (s *Server) updateNotes(w http.ResponseWriter, r *http.Request) error {
	o, err := decodeOptional(r)
	if err != nil {
		return err
	}
	change, err := noteChange(o)
	if err != nil {
		return err
	}
	notes, err := s.platform.ChangeNotes(r.Context(), appKey(r), change)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, notesOf(notes))
}
