package nomad

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// PutVariable writes a variable whole. Paths name immutable versions, so that writing again is harmless.
func (c *Client) PutVariable(ctx context.Context, namespace, path string, items map[string]string) error {
	w, done := c.write(ctx, namespace)
	defer done()
	v := &api.Variable{Namespace: c.in(namespace), Path: path, Items: items}
	_, _, err := c.api.Variables().Update(v, w)
	return variableError("writing variable "+path, "write", err)
}

// HasVariable reports whether a variable exists, without keeping what it holds. Nomad's own client would take a refusal for
// no (api.Variables.Peek), so Nomad is asked directly.
func (c *Client) HasVariable(ctx context.Context, namespace, path string) (bool, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	var v struct{ Path string }
	_, err := c.api.Raw().Query("/v1/var/"+path, &v, q)
	err = variableError("looking for variable "+path, "read", err)
	return err == nil, ignoreMissing(err)
}

// variableError translates the error of a call about variables. Of one that Nomad refuses it says what right is missing; the
// capability is Nomad's word for it (https://developer.hashicorp.com/nomad/docs/concepts/acl/policy, variables).
func variableError(doing, capability string, err error) error {
	if !refused(err) {
		return translate(doing, err)
	}
	return unavailable(err, "Nomad refuses the daemon's token (%s). Its policy needs, for the namespace: variables { path \"%s*\" { capabilities = [\"%s\"] } }",
		doing, jobs.ConfigPrefix, capability)
}

// VariablePaths lists the paths of the variables that begin with a prefix.
func (c *Client) VariablePaths(ctx context.Context, namespace, prefix string) ([]string, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	list, _, err := c.api.Variables().PrefixList(prefix, q)
	if err != nil {
		return nil, variableError("listing variables", "list", err)
	}
	paths := make([]string, len(list))
	for i, v := range list {
		paths[i] = v.Path
	}
	return paths, nil
}

// VariableSink takes what a VariableWatcher sees.
type VariableSink interface {
	// Variables gives the paths of all variables of a namespace that are ours.
	Variables(namespace string, paths map[string]bool)
	// VariablesLost says that they are not followed, until the next Variables.
	VariablesLost(namespace string)
}

// VariableWatcher follows which config vars' variables there are in a namespace, so that one that somebody deletes is put
// back. Nomad's event stream does not tell of variables; this is one blocking query for all apps.
type VariableWatcher struct {
	Client    *Client
	Namespace string
	Sink      VariableSink
	Log       hclog.Logger
}

// variableWait is how long Nomad may hold a query back; it answers at once when a variable changes.
const variableWait = 5 * time.Minute

// variableGap is the least pause between two lists: each release writes a variable.
const variableGap = time.Second

// Run follows until ctx ends.
func (w *VariableWatcher) Run(ctx context.Context) {
	pause, index := minBackoff, uint64(0)
	for ctx.Err() == nil {
		next, err := w.once(ctx, index)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.Sink.VariablesLost(w.Namespace)
			w.Log.Debug("lost sight of the variables, will look again", "namespace", w.Namespace, "error", err, "pause", pause)
			sleep(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // jitter, no secret
			pause, index = min(2*pause, 4*maxBackoff), 0
			continue
		}
		pause = minBackoff
		sleep(ctx, variableGap)
		if next < index { // Nomad's state was restored: start anew
			next = 0
		}
		index = next
	}
}

func (w *VariableWatcher) once(ctx context.Context, index uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, variableWait+variableWait/16+callTimeout)
	defer cancel()
	q := (&api.QueryOptions{Namespace: w.Namespace, WaitIndex: index, WaitTime: variableWait}).WithContext(ctx)
	list, meta, err := w.Client.api.Variables().PrefixList(jobs.ConfigPrefix, q)
	if err != nil {
		return 0, variableError("listing variables", "list", err)
	}
	paths := make(map[string]bool, len(list))
	for _, v := range list {
		paths[v.Path] = true
	}
	w.Sink.Variables(w.Namespace, paths)
	return max(meta.LastIndex, 1), nil
}

// DeleteVariable removes a variable. That there is none is no error.
func (c *Client) DeleteVariable(ctx context.Context, namespace, path string) error {
	w, done := c.write(ctx, namespace)
	defer done()
	_, err := c.api.Variables().Delete(path, w)
	return ignoreMissing(variableError("removing variable "+path, "destroy", err))
}
