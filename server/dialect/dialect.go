// Package dialect holds what Heroku's and Akkeris's clients see differently. Both ask the same server; a client that names
// Heroku's media type in its Accept header gets Heroku's dyno states and names, every other one those of Akkeris.
package dialect

import (
	"mime"
	"strings"

	"github.com/dynomad/dynomad"
)

// Dialect is a way to word answers.
type Dialect int

// The dialects. Akkeris is the one of clients that name none.
const (
	Akkeris Dialect = iota
	Heroku
)

const herokuType = "application/vnd.heroku+json"

// Of finds the dialect that a request's Accept headers ask for. It is false if they name Heroku's media type, but no
// version of it that is 3.
func Of(accept []string) (Dialect, bool) {
	all := strings.Join(accept, ",")
	if !strings.Contains(strings.ToLower(all), herokuType) {
		return Akkeris, true
	}
	named := false
	for _, entry := range strings.Split(all, ",") {
		kind, params, err := mime.ParseMediaType(entry)
		if err != nil || kind != herokuType {
			continue
		}
		named = true
		if version, ok := params["version"]; !ok || version == "3" || strings.HasPrefix(version, "3.") {
			return Heroku, true
		}
	}
	return Akkeris, !named
}

// Lists reports whether a list of dynos has this one. Heroku's clients wait for every dyno they see to be up, so that they
// are not shown those on their way out, nor a one-off that could not start: it is not tried again.
func (d Dialect) Lists(dyno dynomad.Dyno) bool {
	switch {
	case d != Heroku:
		return true
	case dyno.Run && dyno.State == dynomad.StateStartFailure:
		return false
	}
	return dyno.State != dynomad.StateStopping && dyno.State != dynomad.StateStopped
}

// Name gives the name of a dyno: Heroku's clients take "web.1" apart.
func (d Dialect) Name(dyno dynomad.Dyno) string {
	if d == Heroku && dyno.TypeN != "" {
		return dyno.TypeN
	}
	return dyno.Name
}

// State gives the word for what a dyno is doing.
func (d Dialect) State(dyno dynomad.Dyno) string {
	if d != Heroku {
		return string(dyno.State)
	}
	switch dyno.State {
	case dynomad.StateRunning:
		if dyno.Ready {
			return "up"
		}
		return "starting"
	case dynomad.StatePending, dynomad.StateWaiting:
		return "starting"
	case dynomad.StateAppCrashed, dynomad.StateStartFailure, dynomad.StateProbeFailure:
		return "crashed"
	case dynomad.StateStopping, dynomad.StateStopped:
		return "down"
	}
	return string(dyno.State)
}

// Command gives a command, of which nil is the image's own: Heroku's clients expect a text.
func (d Dialect) Command(command *string) *string {
	if d == Heroku && command == nil {
		none := ""
		return &none
	}
	return command
}
