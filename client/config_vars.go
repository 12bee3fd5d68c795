package client

import (
	"context"
	"net/http"
)

// Note is what is known of a config var besides its value.
type Note struct {
	Type        string  `json:"type"`
	Addon       *OnlyID `json:"addon"`
	ReadOnly    bool    `json:"read_only"`
	Required    bool    `json:"required"`
	Description string  `json:"description"`
}

// NoteChange is what to change of a note; nil stays.
type NoteChange struct {
	Required    *bool   `json:"required,omitempty"`
	Description *string `json:"description,omitempty"`
}

// ConfigVars gives an app's config vars.
func (c *Client) ConfigVars(ctx context.Context, app string) (map[string]string, error) {
	path, err := pathOf("/apps/", app, "/config-vars")
	return get[map[string]string](ctx, c, path, err)
}

// UpdateConfigVars sets config vars, and removes those that are nil, in one release. It gives all as they are then.
func (c *Client) UpdateConfigVars(ctx context.Context, app string, change map[string]*string) (map[string]string, error) {
	path, err := pathOf("/apps/", app, "/config-vars")
	return ask[map[string]string](ctx, c, http.MethodPatch, path, change, err)
}

// Notes gives what is known of an app's config vars besides their values.
func (c *Client) Notes(ctx context.Context, app string) (map[string]Note, error) {
	path, err := pathOf("/apps/", app, "/config-vars/notes")
	return get[map[string]Note](ctx, c, path, err)
}

// UpdateNotes changes notes; a nil one is cleared.
func (c *Client) UpdateNotes(ctx context.Context, app string, change map[string]*NoteChange) (map[string]Note, error) {
	path, err := pathOf("/apps/", app, "/config-vars/notes")
	return ask[map[string]Note](ctx, c, http.MethodPatch, path, change, err)
}
