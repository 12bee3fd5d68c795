package client

import (
	"context"
	"net/http"
	"time"
)

// Named refers to something that has an id and a name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// OnlyID refers to something by its id.
type OnlyID struct {
	ID string `json:"id"`
}

// User is the token that did something.
type User struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// App is an app.
type App struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"` // the full name: "api-default"
	Key          string     `json:"key"`
	SimpleName   string     `json:"simple_name"`
	Space        Named      `json:"space"`
	Description  string     `json:"description"`
	Labels       string     `json:"labels"`
	Maintenance  bool       `json:"maintenance"`
	WebURL       string     `json:"web_url"`
	Image        string     `json:"image"` // "" before the first deploy
	Formation    []DynoType `json:"formation"`
	Owner        User       `json:"owner"`
	Organization Named      `json:"organization"`
	Region       Named      `json:"region"`
	Stack        Named      `json:"stack"`
	BuildStack   Named      `json:"build_stack"`
	NomadURL     string     `json:"nomad_url"`
	GitURL       string     `json:"git_url"`
	ACM          bool       `json:"acm"`
	ArchivedAt   *time.Time `json:"archived_at"`
	CreateStatus string     `json:"create_status"`
	Preview      *OnlyID    `json:"preview"`
	RepoSize     int        `json:"repo_size"`
	SlugSize     int        `json:"slug_size"`
	ReleasedAt   *time.Time `json:"released_at"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

// NewApp is an app to create. Only Name is needed.
type NewApp struct {
	Name        string `json:"name"`            // without the space
	Space       string `json:"space,omitempty"` // "" is default
	Description string `json:"description,omitempty"`
	Labels      string `json:"labels,omitempty"`
	Org         string `json:"org,omitempty"`
}

// AppChange is what to change of an app; nil stays.
type AppChange struct {
	Maintenance *bool   `json:"maintenance,omitempty"`
	Description *string `json:"description,omitempty"`
	Labels      *string `json:"labels,omitempty"`
}

// CreateApp creates an app.
func (c *Client) CreateApp(ctx context.Context, app NewApp) (App, error) {
	return ask[App](ctx, c, http.MethodPost, "/apps", app, nil)
}

// Apps lists the apps that the token sees, by name.
func (c *Client) Apps(ctx context.Context) ([]App, error) { return get[[]App](ctx, c, "/apps", nil) }

// App gives an app.
func (c *Client) App(ctx context.Context, app string) (App, error) {
	path, err := pathOf("/apps/", app)
	return get[App](ctx, c, path, err)
}

// UpdateApp changes an app.
func (c *Client) UpdateApp(ctx context.Context, app string, change AppChange) (App, error) {
	path, err := pathOf("/apps/", app)
	return ask[App](ctx, c, http.MethodPatch, path, change, err)
}

// DeleteApp deletes an app and gives it as it was.
func (c *Client) DeleteApp(ctx context.Context, app string) (App, error) {
	path, err := pathOf("/apps/", app)
	return ask[App](ctx, c, http.MethodDelete, path, nil, err)
}

// Space is a group of apps.
type Space struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Description    string    `json:"description"`
	Compliance     []string  `json:"compliance"`
	NomadNamespace *string   `json:"nomad_namespace"` // nil for tokens without the scope global
	Region         Named     `json:"region"`
	Stack          Named     `json:"stack"`
	State          string    `json:"state"`
	Apps           int       `json:"apps"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// NewSpace is a space to create. Only Name is needed.
type NewSpace struct {
	Name           string `json:"name"`
	Description    string `json:"description,omitempty"`
	NomadNamespace string `json:"nomad_namespace,omitempty"` // "" is the daemon's own
}

// CreateSpace creates a space.
func (c *Client) CreateSpace(ctx context.Context, space NewSpace) (Space, error) {
	return ask[Space](ctx, c, http.MethodPost, "/spaces", space, nil)
}

// Spaces lists the spaces that the token sees, by name.
func (c *Client) Spaces(ctx context.Context) ([]Space, error) {
	return get[[]Space](ctx, c, "/spaces", nil)
}

// Space gives a space.
func (c *Client) Space(ctx context.Context, space string) (Space, error) {
	path, err := pathOf("/spaces/", space)
	return get[Space](ctx, c, path, err)
}

// DeleteSpace deletes a space without apps and gives it as it was.
func (c *Client) DeleteSpace(ctx context.Context, space string) (Space, error) {
	path, err := pathOf("/spaces/", space)
	return ask[Space](ctx, c, http.MethodDelete, path, nil, err)
}
