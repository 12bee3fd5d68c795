package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Authorization is a token's record.
type Authorization struct {
	ID           string      `json:"id"`
	Description  string      `json:"description"`
	Scope        []string    `json:"scope"`
	AccessToken  AccessToken `json:"access_token"`
	App          *OnlyID     `json:"app"`   // that it is tied to
	Space        *OnlyID     `json:"space"` // that it is tied to
	User         TokenUser   `json:"user"`
	Client       *OnlyID     `json:"client"`
	Grant        *OnlyID     `json:"grant"`
	RefreshToken *OnlyID     `json:"refresh_token"`
	Session      *OnlyID     `json:"session"`
	CreatedAt    time.Time   `json:"created_at"`
	UpdatedAt    time.Time   `json:"updated_at"`
}

// AccessToken is the token of a record. Token is nil but in the answer that makes it; ExpiresIn is in seconds, nil is never.
type AccessToken struct {
	ID        string  `json:"id"`
	Token     *string `json:"token"`
	ExpiresIn *int    `json:"expires_in"`
}

// TokenUser is the account of a token.
type TokenUser struct {
	User
	FullName *string `json:"full_name"`
}

// NewAuthorization is a token to make.
type NewAuthorization struct {
	Scope       []string      // global, read, write, read-protected, write-protected
	Description string        // free text
	App         string        // name or id of the app to tie it to
	Space       string        // or of the space
	ExpiresIn   time.Duration // whole seconds; 0 is never
}

// MarshalJSON words it as the API reads it.
func (n NewAuthorization) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Scope       []string `json:"scope"`
		Description string   `json:"description,omitempty"`
		App         string   `json:"app,omitempty"`
		Space       string   `json:"space,omitempty"`
		ExpiresIn   int64    `json:"expires_in,omitempty"`
	}{n.Scope, n.Description, n.App, n.Space, int64((n.ExpiresIn + time.Second - 1) / time.Second)})
}

// CreateAuthorization makes a token. The answer is the only one that has the secret.
func (c *Client) CreateAuthorization(ctx context.Context, token NewAuthorization) (Authorization, error) {
	return ask[Authorization](ctx, c, http.MethodPost, "/oauth/authorizations", token, nil)
}

// Authorizations lists the tokens' records, oldest first.
func (c *Client) Authorizations(ctx context.Context) ([]Authorization, error) {
	return get[[]Authorization](ctx, c, "/oauth/authorizations", nil)
}

// Authorization gives one token's record.
func (c *Client) Authorization(ctx context.Context, id string) (Authorization, error) {
	path, err := pathOf("/oauth/authorizations/", id)
	return get[Authorization](ctx, c, path, err)
}

// DeleteAuthorization revokes a token, and all that it made.
func (c *Client) DeleteAuthorization(ctx context.Context, id string) (Authorization, error) {
	path, err := pathOf("/oauth/authorizations/", id)
	return ask[Authorization](ctx, c, http.MethodDelete, path, nil, err)
}

// Health says that the daemon serves.
type Health struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// Ready says of each part of the daemon whether it answers.
type Ready struct {
	Status   string            `json:"status"`
	Parts    map[string]string `json:"parts"`
	Warnings []string          `json:"warnings"`
}

// Health asks whether the daemon serves. It needs no token.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return get[Health](ctx, c, "/healthz", nil)
}

// Ready asks whether the store, Nomad and Consul answer. If one does not, Status is not "ready", and there is an *Error too. It
// needs no token.
func (c *Client) Ready(ctx context.Context) (Ready, error) {
	var ready Ready
	text, err := c.try(ctx, request{method: http.MethodGet, path: "/readyz"}, nil)
	if err == nil {
		err = json.Unmarshal(text, &ready)
	}
	var e *Error
	if errors.As(err, &e) {
		ready.Status = e.ID
	}
	return ready, err
}
