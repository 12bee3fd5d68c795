package server

import (
	"net/http"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

// createRun runs a dyno once. Heroku's clients mean their commands for a shell.
func (s *Server) createRun(w http.ResponseWriter, r *http.Request) error {
	o, err := decodeOptional(r)
	if err != nil {
		return err
	}
	l := lensOf(r).Dialect
	wish := dynomad.NewRun{
		Type: o.text("type"), Command: o.optionalText("command"), Shell: l == dialect.Heroku, Attach: o.flag("attach"),
		Size: s.sizeField(o), Env: o.env("env"), TimeToLive: o.integer("time_to_live"), Image: o.text("image"),
	}
	noTTY := o.flag("force_no_tty") // as Heroku's clients say it
	if o.err != nil {
		return o.err
	}
	state, d, err := s.platform.CreateRun(r.Context(), appKey(r), wish)
	if err != nil {
		return err
	}
	answer := dynoOf(state.App, d, l)
	if wish.Attach {
		if answer.AttachURL, err = s.attachURL(dynomad.PrincipalFrom(r.Context()), state.App, d); err != nil {
			return err
		}
		if noTTY {
			answer.AttachURL += "&tty=0"
		}
	}
	return respond(w, http.StatusCreated, answer)
}
