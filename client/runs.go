package client

import (
	"context"
	"net/http"
)

// NewDyno is a dyno to run once. Command, or a Type that has one, must be given.
type NewDyno struct {
	Command    string            `json:"command,omitempty"`      // split into words without a shell
	Type       string            `json:"type,omitempty"`         // a one-off or scheduled dyno type
	Attach     bool              `json:"attach,omitempty"`       // a client is to talk with its command
	ForceNoTTY bool              `json:"force_no_tty,omitempty"` // with Attach: the command gets no terminal
	Size       string            `json:"size,omitempty"`         // name of a size
	Env        map[string]string `json:"env,omitempty"`          // wins over config vars
	TimeToLive int               `json:"time_to_live,omitempty"` // seconds; 0 is without an end
	Image      string            `json:"image,omitempty"`        // instead of the release's
}

// CreateDyno runs a dyno once. What becomes of it, Dyno tells for an hour after its end.
func (c *Client) CreateDyno(ctx context.Context, app string, dyno NewDyno) (Dyno, error) {
	path, err := pathOf("/apps/", app, "/dynos")
	return ask[Dyno](ctx, c, http.MethodPost, path, dyno, err)
}
