package dynomad

import (
	"errors"
	"io"
)

// Session is a command that is run for one client, which talks with it. Its container is there for it alone.
type Session struct {
	App      App
	Dyno     string   // the dyno's name
	AllocID  string   // where it runs
	Command  []string // its words, run as they are: no shell reads them
	Terminal Terminal
}

// Terminal is the client's end of a session.
type Terminal struct {
	TTY    bool                // the command has a terminal: all that it puts out goes to Stdout
	Sizes  <-chan TerminalSize // the window's size, at first and whenever it changes; only with TTY
	Stdin  io.Reader           // at its end, a command without a terminal finds the end of its input, and one with a terminal a ^D
	Stdout io.Writer           // a writer that blocks stops the command from putting out more
	Stderr io.Writer
}

// TerminalSize is the size of a window, in characters.
type TerminalSize struct{ Height, Width int }

// ErrDynoEnded lies beneath the error of a session whose dyno has ended, or never came to run: how is in the dyno's own record, soon.
var ErrDynoEnded = errors.New("the dyno's process has ended")

// DefaultTerminalSize is that of a window whose client does not say.
var DefaultTerminalSize = TerminalSize{Height: 24, Width: 80}
