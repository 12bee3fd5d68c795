package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// maxStreams is how many clients talk with dynos at once. Each takes a connection to Nomad, which allows the daemon about a hundred.
const maxStreams = 32

// streamTime is how long a stream may take: the longest time to live, and to end what has reached it.
const streamTime = dynomad.MaxTimeToLive*time.Second + time.Minute

// streamTicket is what the secret of an attach_url opens.
type streamTicket struct {
	who     dynomad.Principal // whom the URL was made for
	appID   string
	appName string
	runID   string
	name    string // the dyno's
}

// attachURL makes the URL by which a client talks with its dyno, once.
func (s *Server) attachURL(who dynomad.Principal, app dynomad.App, d dynomad.Dyno) (string, error) {
	secret, err := s.attaches.issue(streamTicket{who: who, appID: app.ID, appName: app.Name, runID: d.ID, name: d.Name})
	base := "ws" + strings.TrimPrefix(s.cfg.ExternalURL, "http") // and so wss for https
	return base + "/apps/" + app.Name + "/dynos/" + d.Name + "/stream?secret=" + url.QueryEscape(secret), err
}

// stream joins a client's WebSocket and its dyno's command. What goes wrong before it is one is answered; after that it is told in frames.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	if err := checkUpgrade(w, r); err != nil {
		return err
	}
	query := r.URL.Query()
	wish, err := wishOf(query)
	if err != nil {
		return err
	}
	secret := query.Get("secret")
	ticket, ok := s.attaches.look(secret)
	if !ok || !ticket.opens(mux.Vars(r)) {
		return badSecret()
	}
	leave, err := s.ofToken.enter(ticket.who.TokenID)
	if err != nil {
		return err // the secret stays good
	}
	defer leave()
	stop, err := s.streams.enter()
	if err != nil {
		return err // as above
	}
	defer s.streams.leave()
	if ticket, ok = s.attaches.take(secret); !ok {
		return badSecret()
	}
	b := newBridge(streamTimes, wish)
	conn, err := websocket.Accept(w, r, b.options())
	if err != nil {
		return nil // it has been answered: the connection cannot be taken over
	}
	ctx := dynomad.WithPrincipal(r.Context(), ticket.who)
	b.serve(ctx, conn, stop, func(ctx context.Context, t dynomad.Terminal, progress func(dynomad.Dyno)) (int, error) {
		return s.platform.Talk(ctx, ticket.appID, ticket.runID, t, progress)
	})
	return nil
}

// opens reports whether the ticket is for the dyno of a path.
func (t streamTicket) opens(keys map[string]string) bool {
	return (keys["app"] == t.appName || keys["app"] == t.appID) && (keys["dyno"] == t.name || keys["dyno"] == t.runID)
}

func badSecret() error {
	return dynomad.Errorf(dynomad.Unauthenticated, "The secret is not that of this dyno, was used before, or is older than %.0f s.",
		dynomad.ConnectTime.Seconds())
}

// streamWish is what a client wants of its stream.
type streamWish struct {
	tty  bool // the command has a terminal
	keep bool // the command runs on if the client is lost
}

// wishOf reads what a client wants: a terminal, unless it says tty=0, and that its command ends with its connection, unless it says keep=1.
func wishOf(query url.Values) (streamWish, error) {
	tty, err := oneOrZero("tty", query.Get("tty"), true)
	if err != nil {
		return streamWish{}, err
	}
	keep, err := oneOrZero("keep", query.Get("keep"), false)
	return streamWish{tty, keep}, err
}

// oneOrZero reads what a query says of a thing that is so or not.
func oneOrZero(name, said string, otherwise bool) (bool, error) {
	switch said {
	case "":
		return otherwise, nil
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, dynomad.Invalidf(name, "The %s must be 1 or 0.", name)
}

// checkUpgrade refuses what does not ask for a WebSocket, before its secret is used up.
func checkUpgrade(w http.ResponseWriter, r *http.Request) error {
	header := r.Header
	if r.Method == http.MethodGet && hasWord(header["Connection"], "upgrade") && hasWord(header["Upgrade"], "websocket") &&
		header.Get("Sec-Websocket-Version") == "13" && header.Get("Sec-Websocket-Key") != "" {
		return nil
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Sec-Websocket-Version", "13")
	return upgradeRequired
}

// hasWord looks for a word in a header that is a list.
func hasWord(values []string, word string) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		return slices.ContainsFunc(strings.Split(value, ","), func(part string) bool {
			return strings.EqualFold(strings.TrimSpace(part), word)
		})
	})
}

// streams are the streams that are open now.
type streams struct {
	stop chan struct{} // closed when all are to end

	mu      sync.Mutex
	open    int
	stopped bool
	idle    chan struct{} // closed when none is open and all were to end
}

func newStreams() *streams { return &streams{stop: make(chan struct{}), idle: make(chan struct{})} }

// enter adds a stream. It is to end when the channel is closed.
func (s *streams) enter() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, dynomad.Errorf(dynomad.Unavailable, "The daemon is being stopped.")
	}
	if s.open == maxStreams {
		return nil, dynomad.Errorf(dynomad.Unavailable, "Too many clients are connected to dynos.")
	}
	s.open++
	return s.stop, nil
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.endIfIdle()
}

func (s *streams) endIfIdle() {
	if s.stopped && s.open == 0 {
		close(s.idle)
	}
}

// StopStreams ends all streams with their commands, and waits for that until ctx ends. No more are opened.
func (s *Server) StopStreams(ctx context.Context) error {
	all := s.streams
	all.mu.Lock()
	if !all.stopped {
		all.stopped = true
		close(all.stop)
		all.endIfIdle()
	}
	all.mu.Unlock()
	select {
	case <-all.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
