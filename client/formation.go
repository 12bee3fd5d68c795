package client

import (
	"context"
	"net/http"
	"time"
)

// DynoType says how to start a process of an app, and how many of it to keep up.
type DynoType struct {
	App            Named       `json:"app"`
	ID             string      `json:"id"`
	Type           string      `json:"type"`
	Command        *string     `json:"command"` // nil is the slug's or the image's own
	Quantity       int         `json:"quantity"`
	Size           string      `json:"size"`
	DynoSize       Named       `json:"dyno_size"`
	Port           *int        `json:"port"`
	Healthcheck    *string     `json:"healthcheck"` // nil is whether the port accepts connections
	OneOff         bool        `json:"oneoff"`
	Schedule       *string     `json:"schedule"`
	Options        *Options    `json:"options"`
	AdditionalInfo string      `json:"additional_info"`     // that and why it is held at an earlier definition
	NextRuns       []time.Time `json:"next_runs,omitempty"` // of a type with a schedule: when it runs next, three times
	LastRuns       []Slot      `json:"last_runs,omitempty"` // of a type with a schedule: what became of its last slots, newest first
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`
}

// Slot is one run that a schedule has made.
type Slot struct {
	ID          string    `json:"id"` // of its dyno
	ScheduledAt time.Time `json:"scheduled_at"`
	State       string    `json:"state"`
	ExitCode    *int      `json:"exit_code"`
}

// Options are overrides for one-off dynos.
type Options struct {
	Env   map[string]string `json:"env,omitempty"` // nil for tokens that may not see config values
	Image *string           `json:"image,omitempty"`
}

// TypeSpec is a dyno type to create, or what to change of one. What is nil or "" is not sent.
type TypeSpec struct {
	Type              string   `json:"type,omitempty"`
	Quantity          string   `json:"quantity,omitempty"` // "3"; in a change also "+1" and "-1"
	Size              string   `json:"size,omitempty"`
	Port              int      `json:"port,omitempty"`
	Command           *string  `json:"command,omitempty"`
	RemoveCommand     bool     `json:"remove-command,omitempty"`
	Healthcheck       *string  `json:"healthcheck,omitempty"`
	RemoveHealthcheck bool     `json:"removeHealthcheck,omitempty"`
	OneOff            *bool    `json:"oneoff,omitempty"`
	Schedule          *string  `json:"schedule,omitempty"`
	Options           *Options `json:"options,omitempty"`
}

// Formation lists an app's dyno types.
func (c *Client) Formation(ctx context.Context, app string) ([]DynoType, error) {
	path, err := pathOf("/apps/", app, "/formation")
	return get[[]DynoType](ctx, c, path, err)
}

// DynoType gives one dyno type.
func (c *Client) DynoType(ctx context.Context, app, dynoType string) (DynoType, error) {
	path, err := pathOf("/apps/", app, "/formation/", dynoType)
	return get[DynoType](ctx, c, path, err)
}

// CreateType creates a dyno type.
func (c *Client) CreateType(ctx context.Context, app string, spec TypeSpec) (DynoType, error) {
	path, err := pathOf("/apps/", app, "/formation")
	return ask[DynoType](ctx, c, http.MethodPost, path, spec, err)
}

// UpdateTypes changes several dyno types, all or none, and gives them in the same order.
func (c *Client) UpdateTypes(ctx context.Context, app string, specs []TypeSpec) ([]DynoType, error) {
	path, err := pathOf("/apps/", app, "/formation")
	return ask[[]DynoType](ctx, c, http.MethodPatch, path, specs, err)
}

// UpdateType changes a dyno type.
func (c *Client) UpdateType(ctx context.Context, app, dynoType string, spec TypeSpec) (DynoType, error) {
	path, err := pathOf("/apps/", app, "/formation/", dynoType)
	return ask[DynoType](ctx, c, http.MethodPatch, path, spec, err)
}

// DeleteType removes a dyno type and gives it as it was.
func (c *Client) DeleteType(ctx context.Context, app, dynoType string) (DynoType, error) {
	path, err := pathOf("/apps/", app, "/formation/", dynoType)
	return ask[DynoType](ctx, c, http.MethodDelete, path, nil, err)
}

// Size is a size of dynos.
type Size struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Resources   SizeResources `json:"resources"`
	Price       int           `json:"price"`
	Stacks      []string      `json:"stacks"`
	Deprecated  bool          `json:"deprecated"`
	Type        *string       `json:"type"`
}

// SizeResources are what a dyno of a size is sure of, and what it may use at most.
type SizeResources struct {
	Requests SizeRequests `json:"requests"`
	Limits   SizeLimits   `json:"limits"`
}

// SizeRequests are what a dyno is sure of: "256Mi", "100MHz".
type SizeRequests struct {
	Memory string `json:"memory"`
	CPU    string `json:"cpu"`
}

// SizeLimits are what a dyno may use at most.
type SizeLimits struct {
	Memory string `json:"memory"`
}

// DynoSize is a size as Heroku shows it.
type DynoSize struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Memory           float64   `json:"memory"` // GB
	Compute          int       `json:"compute"`
	Cost             *SizeCost `json:"cost"`
	Dedicated        bool      `json:"dedicated"`
	DynoUnits        int       `json:"dyno_units"`
	PreciseDynoUnits float64   `json:"precise_dyno_units"`
	PrivateSpaceOnly bool      `json:"private_space_only"`
	Architecture     string    `json:"architecture"`
	Generation       Named     `json:"generation"`
}

// SizeCost is what a size costs, for information.
type SizeCost struct {
	Cents int    `json:"cents"`
	Unit  string `json:"unit"`
}

// Sizes lists the sizes, smallest first.
func (c *Client) Sizes(ctx context.Context) ([]Size, error) {
	return get[[]Size](ctx, c, "/sizes", nil)
}

// DynoSizes lists the sizes as Heroku shows them.
func (c *Client) DynoSizes(ctx context.Context) ([]DynoSize, error) {
	return get[[]DynoSize](ctx, c, "/dyno-sizes", nil)
}

// DynoSize gives one size as Heroku shows it.
func (c *Client) DynoSize(ctx context.Context, size string) (DynoSize, error) {
	path, err := pathOf("/dyno-sizes/", size)
	return get[DynoSize](ctx, c, path, err)
}
