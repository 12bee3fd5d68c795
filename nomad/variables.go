package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"
)

// PutVariable writes a variable whole. Paths name immutable versions, so that writing again is harmless.
func (c *Client) PutVariable(ctx context.Context, namespace, path string, items map[string]string) error {
	w, done := c.write(ctx, namespace)
	defer done()
	v := &api.Variable{Namespace: c.in(namespace), Path: path, Items: items}
	_, _, err := c.api.Variables().Update(v, w)
	return translate("writing variable "+path, err)
}

// HasVariable reports whether a variable exists, without keeping what it holds.
func (c *Client) HasVariable(ctx context.Context, namespace, path string) (bool, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	v, _, err := c.api.Variables().Peek(path, q)
	return v != nil, translate("looking for variable "+path, err)
}

// DeleteVariable removes a variable. That there is none is no error.
func (c *Client) DeleteVariable(ctx context.Context, namespace, path string) error {
	w, done := c.write(ctx, namespace)
	defer done()
	_, err := c.api.Variables().Delete(path, w)
	return ignoreMissing(translate("removing variable "+path, err))
}
