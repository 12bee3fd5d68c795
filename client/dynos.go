package client

import (
	"context"
	"net/http"
	"time"
)

// The states of a dyno.
const (
	StateStopped      = "stopped"
	StateStopping     = "stopping"
	StateStartFailure = "start-failure"
	StateAppCrashed   = "app-crashed"
	StateWaiting      = "waiting"
	StatePending      = "pending"
	StateProbeFailure = "probe-failure"
	StateRunning      = "running"
)

// Dyno is one running instance of a dyno type.
type Dyno struct {
	ID             string      `json:"id"`
	Name           string      `json:"name"` // "2281474389-1cu1o", or "web.1" in HerokuDynos
	Type           string      `json:"type"`
	App            Named       `json:"app"`
	Command        *string     `json:"command"`
	Size           string      `json:"size"`
	State          string      `json:"state"`
	Ready          bool        `json:"ready"`
	Restarts       int         `json:"restarts"`
	Release        DynoRelease `json:"release"`
	ExitCode       *int        `json:"exit_code"`
	AdditionalInfo string      `json:"additional_info"`
	AttachURL      string      `json:"attach_url"`
	Node           string      `json:"node"`
	NomadURL       string      `json:"nomad_url"`
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`
}

// DynoRelease is the release that a dyno runs.
type DynoRelease struct {
	ID      *string `json:"id"`
	Version int     `json:"version"`
}

// Pending says that something is on its way.
type Pending struct {
	Status string `json:"status"`
	Type   string `json:"type,omitempty"` // the dyno type; "" is all
}

// Attach is a command to run in a dyno: Command or Alias. The API allows few.
type Attach struct {
	Command []string `json:"command,omitempty"`
	Alias   string   `json:"alias,omitempty"`
	Stdin   string   `json:"stdin,omitempty"`
}

// Executed is what a command wrote, and how it ended.
type Executed struct {
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	ExitCode int    `json:"exit_code"`
}

// NewDyno is a dyno to run once. Command is needed unless Type names a type that has one.
type NewDyno struct {
	Command    string            `json:"command,omitempty"`
	Type       string            `json:"type,omitempty"`         // a one-off or scheduled dyno type; "" is run
	Attach     bool              `json:"attach,omitempty"`       // a client is to talk with its command (package stream)
	ForceNoTTY bool              `json:"force_no_tty,omitempty"` // with Attach: the command gets no terminal
	Size       string            `json:"size,omitempty"`
	Env        map[string]string `json:"env,omitempty"`          // wins over config vars
	TimeToLive int               `json:"time_to_live,omitempty"` // seconds
	Image      string            `json:"image,omitempty"`
}

// CreateDyno runs a dyno once.
func (c *Client) CreateDyno(ctx context.Context, app string, dyno NewDyno) (Dyno, error) {
	path, err := pathOf("/apps/", app, "/dynos")
	return ask[Dyno](ctx, c, http.MethodPost, path, dyno, err)
}

// Dynos lists an app's dynos, by type and number.
func (c *Client) Dynos(ctx context.Context, app string) ([]Dyno, error) {
	path, err := pathOf("/apps/", app, "/dynos")
	return get[[]Dyno](ctx, c, path, err)
}

// HerokuDynos lists an app's dynos as Heroku's clients see them: by the names "web.1", with Heroku's states, without those that are
// stopping or stopped.
func (c *Client) HerokuDynos(ctx context.Context, app string) ([]Dyno, error) {
	var dynos []Dyno
	path, err := pathOf("/apps/", app, "/dynos")
	if err == nil {
		err = c.send(ctx, request{method: http.MethodGet, path: path, accept: herokuMedia}, &dynos)
	}
	return dynos, err
}

// Dyno gives one dyno, by id, name, "web.1" or type and name.
func (c *Client) Dyno(ctx context.Context, app, dyno string) (Dyno, error) {
	path, err := pathOf("/apps/", app, "/dynos/", dyno)
	return get[Dyno](ctx, c, path, err)
}

// RestartAll replaces all dynos, new ones first.
func (c *Client) RestartAll(ctx context.Context, app string) (Pending, error) {
	path, err := pathOf("/apps/", app, "/dynos")
	return ask[Pending](ctx, c, http.MethodDelete, path, nil, err)
}

// Restart replaces a dyno if the key names one, else the dynos of a type.
func (c *Client) Restart(ctx context.Context, app, dynoOrType string) (Pending, error) {
	path, err := pathOf("/apps/", app, "/dynos/", dynoOrType)
	return ask[Pending](ctx, c, http.MethodDelete, path, nil, err)
}

// RestartType replaces the dynos of a type.
func (c *Client) RestartType(ctx context.Context, app, dynoType string) (Pending, error) {
	path, err := pathOf("/apps/", app, "/formations/", dynoType)
	return ask[Pending](ctx, c, http.MethodDelete, path, nil, err)
}

// StopDyno stops a dyno; another one takes its place.
func (c *Client) StopDyno(ctx context.Context, app, dyno string) (Pending, error) {
	path, err := pathOf("/apps/", app, "/dynos/", dyno, "/actions/stop")
	return ask[Pending](ctx, c, http.MethodPost, path, nil, err)
}

// Attach runs a command in a dyno and waits for its end, a minute at most.
func (c *Client) Attach(ctx context.Context, app, dyno string, command Attach) (Executed, error) {
	path, err := pathOf("/apps/", app, "/dynos/", dyno, "/actions/attach")
	return ask[Executed](ctx, c, http.MethodPost, path, command, err)
}
