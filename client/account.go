package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Account is who holds a token.
type Account struct {
	ID                      string  `json:"id"`
	Email                   string  `json:"email"`
	Name                    string  `json:"name"`
	AllowTracking           bool    `json:"allow_tracking"`
	Beta                    bool    `json:"beta"`
	Federated               bool    `json:"federated"`
	TwoFactorAuthentication bool    `json:"two_factor_authentication"`
	Verified                bool    `json:"verified"`
	DefaultOrganization     *Named  `json:"default_organization"`
	DefaultTeam             *Named  `json:"default_team"`
	LastLogin               *string `json:"last_login"`
}

// RateLimits are how many requests the token has left this minute.
type RateLimits struct {
	Remaining int `json:"remaining"`
}

// Organization is a word that apps carry.
type Organization struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Default   bool      `json:"default"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Account gives who the token is.
func (c *Client) Account(ctx context.Context) (Account, error) {
	return get[Account](ctx, c, "/account", nil)
}

// RateLimits gives how many requests are left.
func (c *Client) RateLimits(ctx context.Context) (RateLimits, error) {
	return get[RateLimits](ctx, c, "/account/rate-limits", nil)
}

// Organizations lists the organizations of the apps that the token sees.
func (c *Client) Organizations(ctx context.Context) ([]Organization, error) {
	return get[[]Organization](ctx, c, "/organizations", nil)
}

// Favorites lists the token's favorite apps.
func (c *Client) Favorites(ctx context.Context) ([]App, error) {
	return get[[]App](ctx, c, "/favorites", nil)
}

// AddFavorite makes an app a favorite.
func (c *Client) AddFavorite(ctx context.Context, app string) (App, error) {
	return ask[App](ctx, c, http.MethodPost, "/favorites", map[string]string{"app": app}, nil)
}

// RemoveFavorite makes an app no favorite.
func (c *Client) RemoveFavorite(ctx context.Context, app string) (App, error) {
	path, err := pathOf("/favorites/", app)
	return ask[App](ctx, c, http.MethodDelete, path, nil, err)
}

// Audit is a line of who changed what, when.
type Audit struct {
	ID        string    `json:"id"`
	Action    string    `json:"action"`
	Details   string    `json:"details"`
	App       *Named    `json:"app"`
	Space     *string   `json:"space"`
	User      User      `json:"user"`
	CreatedAt time.Time `json:"created_at"`
}

// AuditFilter chooses audits; "" is any.
type AuditFilter struct {
	App   string // full name or id, of a deleted app too
	Space string
}

// Audits lists who changed what in an app, newest last.
func (c *Client) Audits(ctx context.Context, app string) ([]Audit, error) {
	path, err := pathOf("/apps/", app, "/audits")
	return get[[]Audit](ctx, c, path, err)
}

// AllAudits lists who changed what in all that the token sees, deleted apps too.
func (c *Client) AllAudits(ctx context.Context, filter AuditFilter) ([]Audit, error) {
	query := url.Values{}
	if filter.App != "" {
		query.Set("app", filter.App)
	}
	if filter.Space != "" {
		query.Set("space", filter.Space)
	}
	return get[[]Audit](ctx, c, "/audits?"+query.Encode(), nil)
}

// Feature is something of an app that can be on or off.
type Feature struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	DisplayName string    `json:"display_name"`
	Description string    `json:"description"`
	DocURL      string    `json:"doc_url"`
	State       string    `json:"state"`
	Enabled     bool      `json:"enabled"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Features lists an app's features.
func (c *Client) Features(ctx context.Context, app string) ([]Feature, error) {
	path, err := pathOf("/apps/", app, "/features")
	return get[[]Feature](ctx, c, path, err)
}

// Feature gives one feature.
func (c *Client) Feature(ctx context.Context, app, feature string) (Feature, error) {
	path, err := pathOf("/apps/", app, "/features/", feature)
	return get[Feature](ctx, c, path, err)
}

// SetFeature turns a feature on or off.
func (c *Client) SetFeature(ctx context.Context, app, feature string, enabled bool) (Feature, error) {
	path, err := pathOf("/apps/", app, "/features/", feature)
	return ask[Feature](ctx, c, http.MethodPatch, path, map[string]bool{"enabled": enabled}, err)
}
