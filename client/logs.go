package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// DefaultLogLines is how many lines of before the API gives unless it is told.
const DefaultLogLines = 100

// LogOptions choose lines of an app's logs. The zero value is the newest lines of everything, as many as the API has for its default.
type LogOptions struct {
	Lines  *int   `json:"lines,omitempty"`  // how many of the newest
	Tail   bool   `json:"tail,omitempty"`   // go on with what comes
	Dyno   string `json:"dyno,omitempty"`   // "web.1", a name or id, or a dyno type
	Type   string `json:"type,omitempty"`   // a dyno type
	Source string `json:"source,omitempty"` // "app" or "dynomad"
}

// LogSession is a URL that gives an app's logs without a token, for a few minutes.
type LogSession struct {
	ID         string    `json:"id"`
	LogplexURL string    `json:"logplex_url"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Logs gives lines of an app's logs, as text. With Tail it has no end but the context's. The caller closes it.
func (c *Client) Logs(ctx context.Context, app string, options LogOptions) (io.ReadCloser, error) {
	path, err := pathOf("/apps/", app, "/logs")
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if options.Lines != nil {
		query.Set("lines", strconv.Itoa(*options.Lines))
	}
	if options.Tail {
		query.Set("tail", "1")
	}
	for name, value := range map[string]string{"dyno": options.Dyno, "type": options.Type, "source": options.Source} {
		if value != "" {
			query.Set(name, value)
		}
	}
	resp, err := c.open(ctx, request{method: http.MethodGet, path: path + "?" + query.Encode(), accept: "text/plain"}, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// CreateLogSession makes a URL that gives an app's logs without a token.
func (c *Client) CreateLogSession(ctx context.Context, app string, options LogOptions) (LogSession, error) {
	path, err := pathOf("/apps/", app, "/log-sessions")
	return ask[LogSession](ctx, c, http.MethodPost, path, options, err)
}
