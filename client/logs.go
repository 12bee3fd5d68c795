package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogOptions choose lines of an app's logs.
type LogOptions struct {
	Lines  int    // of before, at most; 0 is 100, less is none
	Tail   bool   // go on with what is written from now on
	Dyno   string // only of this dyno ("web.1") or dyno type
	Type   string // only of this dyno type
	Source string // only "app" or "dynomad"
}

// Logs gives an app's logs as text, a line for each: "2026-11-22T01:02:03.456Z app[web.1]: text". It is to be closed; with Tail it ends
// with ctx, or when the daemon does.
func (c *Client) Logs(ctx context.Context, app string, o LogOptions) (io.ReadCloser, error) {
	path, err := pathOf("/apps/", app, "/logs")
	if err != nil {
		return nil, err
	}
	resp, err := c.open(ctx, request{method: http.MethodGet, path: path + "?" + o.query().Encode(), accept: "text/plain"}, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (o LogOptions) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"dyno": o.Dyno, "type": o.Type, "source": o.Source} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if o.Lines != 0 {
		q.Set("lines", strconv.Itoa(max(o.Lines, 0)))
	}
	if o.Tail {
		q.Set("tail", "1")
	}
	return q
}

// NewLogSession chooses the lines of a log session.
type NewLogSession struct {
	Lines  *int   `json:"lines,omitempty"` // of before, at most; nil is 100
	Tail   bool   `json:"tail,omitempty"`
	Dyno   string `json:"dyno,omitempty"`
	Type   string `json:"type,omitempty"`
	Source string `json:"source,omitempty"`
}

// LogSession is a URL at which logs can be read without a token; it is good for five minutes to connect.
type LogSession struct {
	ID        string    `json:"id"`
	URL       string    `json:"logplex_url"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// CreateLogSession makes a URL at which an app's logs can be read.
func (c *Client) CreateLogSession(ctx context.Context, app string, session NewLogSession) (LogSession, error) {
	path, err := pathOf("/apps/", app, "/log-sessions")
	return ask[LogSession](ctx, c, http.MethodPost, path, session, err)
}
