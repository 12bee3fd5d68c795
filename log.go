package dynomad

import (
	"context"
	"strings"
	"time"
	"unicode"
)

// LogSource says who wrote a line of an app's logs.
type LogSource string

// The sources of lines.
const (
	LogApp      LogSource = "app"     // the app's own processes
	LogPlatform LogSource = "dynomad" // the platform, about the app
)

// LogLine is one line of an app's logs.
type LogLine struct {
	ID     string    // names the line's place in its stream, for LogOptions.After
	At     time.Time // when it came; of one that was there before anybody read, when its file was last written to
	Source LogSource
	Proc   string // "web.1", or for a platform's line about the app as a whole "release", "formation" …
	Text   string // without a line end; valid UTF-8
}

// LogFilter chooses lines. Empty fields choose all; what names nothing that exists chooses none, since it may come to exist.
type LogFilter struct {
	Source string // "app", "dynomad", or Heroku's name for the latter, "heroku"
	Type   string // of dyno
	Dyno   string // its id, name, "type.name" or "type.N"; or a type
}

// How many lines that were there before are given.
const (
	DefaultLogLines = 100
	MaxLogLines     = 1500
)

// LogOptions say which lines are wanted.
type LogOptions struct {
	LogFilter
	Lines int    // that were there before, at most
	Tail  bool   // go on with what comes
	After string // the ID of the last line that the client has; Lines does not count then
}

// LogReader gives an app's lines.
type LogReader interface {
	// Next waits for lines. It is io.EOF after the last one, and the context's error when that ends first.
	Next(ctx context.Context) ([]LogLine, error)
	// Close must be called once nobody reads any more.
	Close()
}

// logHub has the lines of all apps.
type logHub interface {
	// Open starts reading an app's lines. It is Unavailable if too many read already.
	Open(app App, o LogOptions) (LogReader, error)
}

// Validate checks options that came from a client.
func (o LogOptions) Validate() error {
	if o.Lines < 0 || o.Lines > MaxLogLines {
		return Invalidf("lines", "The lines must be from 0 to %d.", MaxLogLines)
	}
	for _, f := range []struct{ name, value string }{{"source", o.Source}, {"type", o.Type}, {"dyno", o.Dyno}} {
		const most = 200
		if len(f.value) > most || strings.ContainsFunc(f.value, unicode.IsControl) {
			return Invalidf(f.name, "The %s must be a name of at most %d bytes.", f.name, most)
		}
	}
	return nil
}

// Logs starts reading the logs of an app that the principal may see.
func (p *Platform) Logs(ctx context.Context, key string, o LogOptions) (App, LogReader, error) {
	if err := o.Validate(); err != nil {
		return App{}, nil, err
	}
	s, err := p.state(ctx, key)
	if err != nil {
		return App{}, nil, err
	}
	r, err := p.logs.Open(s.App, o)
	return s.App, r, err
}

// LogSession checks a wish to read an app's logs later, and gives the app.
func (p *Platform) LogSession(ctx context.Context, key string, o LogOptions) (App, error) {
	if err := o.Validate(); err != nil {
		return App{}, err
	}
	s, err := p.state(ctx, key)
	return s.App, err
}

// MayReadLogs checks whether the principal's token, which could read an app's logs once, still can: it is there and not expired,
// and the app is there.
func (p *Platform) MayReadLogs(ctx context.Context, appID string) error {
	a, err := p.tokens.Authorization(ctx, PrincipalFrom(ctx).TokenID)
	if err != nil {
		return err
	}
	if a.ExpiresAt != nil && !p.Now().Before(*a.ExpiresAt) {
		return Errorf(Unauthenticated, "The token has expired.")
	}
	_, err = p.state(ctx, appID)
	return err
}
