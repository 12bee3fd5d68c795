package server

import (
	"cmp"
	"errors"

	"github.com/dynomad/dynomad"
)

// The frames of a stream are JSON texts, each a WebSocket message. Those that carry input, output, sizes and the exit code are as
// Nomad's exec has them (developer.hashicorp.com/nomad/api-docs/allocations#exec-allocation).

// clientFrame is what a client sends. One with nothing says that the client is there.
type clientFrame struct {
	Stdin *struct {
		Data  []byte `json:"data"`
		Close bool   `json:"close"`
	} `json:"stdin"`
	TTYSize *struct {
		Height int `json:"height"`
		Width  int `json:"width"`
	} `json:"tty_size"`
}

// serverFrame is what a client is sent: one of the following.
type serverFrame struct {
	State   string       `json:"state,omitempty"` // of the dyno, before its command runs
	Message string       `json:"message,omitempty"`
	Stdout  *outputFrame `json:"stdout,omitempty"`
	Stderr  *outputFrame `json:"stderr,omitempty"`
	Exited  bool         `json:"exited,omitempty"`
	Result  *resultFrame `json:"result,omitempty"`
	Error   *errorAnswer `json:"error,omitempty"`
}

type outputFrame struct {
	Data []byte `json:"data"`
}

type resultFrame struct {
	ExitCode int `json:"exit_code"`
}

// errorFrame words an error as an answer would.
func errorFrame(err error) serverFrame {
	kind := dynomad.KindOf(err)
	if _, known := failures[kind]; !known {
		kind = dynomad.Internal
	}
	answer := errorAnswer{ID: failures[kind].id, Message: failures[kind].text}
	var e *dynomad.Error
	if errors.As(err, &e) && e.Kind == kind && kind != dynomad.Internal {
		answer.Message = cmp.Or(e.Message, answer.Message)
	}
	return serverFrame{Error: &answer}
}

// maxTerminal is the largest window, in characters: a terminal's size has 16 bits.
const maxTerminal = 1<<16 - 1

// size gives the window's size of a frame that has a proper one.
func (f clientFrame) size() (dynomad.TerminalSize, bool) {
	if f.TTYSize == nil {
		return dynomad.TerminalSize{}, false
	}
	size := dynomad.TerminalSize{Height: f.TTYSize.Height, Width: f.TTYSize.Width}
	return size, size.Height > 0 && size.Height <= maxTerminal && size.Width > 0 && size.Width <= maxTerminal
}
