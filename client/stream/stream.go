// Package stream is the client's end of an attached dyno (docs/attached.md): it talks with the dyno's command over a WebSocket.
package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// heartbeat is how often a client says that it is there. One whose output is not read cannot answer the daemon's pings.
const heartbeat = 10 * time.Second

// Terminal is what an attached dyno's command reads and writes.
type Terminal struct {
	TTY    bool                // the command has a terminal: all that it puts out goes to Stdout
	Keep   bool                // the command runs on if the connection is lost; else it ends
	Sizes  <-chan TerminalSize // the window's size, at first and whenever it changes; nil if nobody knows
	Stdin  io.Reader           // nil has nothing
	Stdout io.Writer           // nil drops what comes
	Stderr io.Writer           // nil drops what comes
	// Progress is told what the dyno does until its command starts; nil if nobody wants to know.
	Progress func(state, message string)
	// HTTP opens the connection, to a platform whose certificate the system does not know; nil is the usual client.
	HTTP *http.Client
}

// TerminalSize is the size of a window, in characters.
type TerminalSize struct {
	Height int `json:"height"`
	Width  int `json:"width"`
}

// Error is what the platform says of a dyno that could not be attached to, or whose command did not end by itself.
type Error struct {
	ID      string `json:"id"` // the kind, as in the API's answers
	Message string `json:"message"`
}

// Error gives the message.
func (e *Error) Error() string { return cmp.Or(e.Message, e.ID, "the platform does not say why") }

// frame is what the platform sends, and sentFrame what it is sent.
type frame struct {
	State   string         `json:"state"`
	Message string         `json:"message"`
	Stdout  *output        `json:"stdout"`
	Stderr  *output        `json:"stderr"`
	Exited  bool           `json:"exited"`
	Result  map[string]int `json:"result"`
	Error   *Error         `json:"error"`
}

type output struct {
	Data []byte `json:"data"`
}

type sentFrame struct {
	Stdin   *sentInput    `json:"stdin,omitempty"`
	TTYSize *TerminalSize `json:"tty_size,omitempty"`
}

type sentInput struct {
	Data  []byte `json:"data,omitempty"`
	Close bool   `json:"close,omitempty"`
}

// Talk connects to the attach_url of a dyno and gives the exit code of its command. If ctx ends first the platform ends the command,
// unless t.Keep. It returns without waiting for a Read of Stdin that is under way.
func Talk(ctx context.Context, attachURL string, t Terminal) (int, error) {
	if !t.TTY {
		attachURL += "&tty=0"
	}
	if t.Keep {
		attachURL += "&keep=1"
	}
	conn, answer, err := websocket.Dial(ctx, attachURL, &websocket.DialOptions{HTTPClient: t.HTTP}) //nolint:bodyclose // what it has is in memory
	if err != nil {
		return 0, refusal(answer, err)
	}
	defer conn.CloseNow() //nolint:errcheck // it is over
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &connection{conn: conn, terminal: t}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { s.tell(ctx) })
	if t.Stdin != nil {
		go s.pass(ctx)
	} else if err := s.send(ctx, sentFrame{Stdin: &sentInput{Close: true}}); err != nil {
		return 0, err
	}
	return s.receive(ctx)
}

// refusal words why there is no connection.
func refusal(answer *http.Response, err error) error {
	var said Error
	if answer != nil && json.NewDecoder(answer.Body).Decode(&said) == nil && said.Message != "" {
		return &said
	}
	return fmt.Errorf("connecting to the dyno: %w", err)
}

// connection is one to a dyno.
type connection struct {
	conn     *websocket.Conn
	terminal Terminal
}

func (s *connection) send(ctx context.Context, frame sentFrame) error {
	text, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, websocket.MessageText, text)
}

// tell tells the window's sizes, and that the client is there.
func (s *connection) tell(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		var frame sentFrame
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case size := <-s.terminal.Sizes:
			frame.TTYSize = &size
		}
		if s.send(ctx, frame) != nil {
			return // receive finds out too
		}
	}
}

// pass passes the input on.
func (s *connection) pass(ctx context.Context) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := s.terminal.Stdin.Read(buffer)
		if n > 0 && s.send(ctx, sentFrame{Stdin: &sentInput{Data: buffer[:n]}}) != nil {
			return
		}
		if err != nil {
			_ = s.send(ctx, sentFrame{Stdin: &sentInput{Close: true}}) // receive finds out too
			return
		}
	}
}

// receive hands on what the platform sends, up to the end.
func (s *connection) receive(ctx context.Context) (int, error) {
	for {
		_, text, err := s.conn.Read(ctx)
		if err != nil {
			return 0, fmt.Errorf("the connection to the dyno was lost: %w", err)
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			return 0, fmt.Errorf("what the platform sent is no frame: %w", err)
		}
		code, known := f.Result["exit_code"]
		switch {
		case f.Error != nil:
			return 0, f.Error
		case f.Exited && known:
			_ = s.conn.Close(websocket.StatusNormalClosure, "") // it is over
			return code, nil
		case f.State != "" && s.terminal.Progress != nil:
			s.terminal.Progress(f.State, f.Message)
		}
		if err := errors.Join(hand(s.terminal.Stdout, f.Stdout), hand(s.terminal.Stderr, f.Stderr)); err != nil {
			return 0, err
		}
	}
}

func hand(w io.Writer, out *output) error {
	if w == nil || out == nil {
		return nil
	}
	_, err := w.Write(out.Data)
	return err
}
