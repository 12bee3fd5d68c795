package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dynomad/dynomad/client"
)

func psWait(ctx context.Context, c *call, _ []string) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if err := c.settle(ctx, nil); err != nil {
		return err
	}
	return c.show(map[string]bool{"ready": true}, func() { c.say("All dynos of %s that are wanted run.", c.app) })
}

// settle waits until all that is wanted runs, and until dynos that are to be replaced, by id, are gone.
func (c *call) settle(ctx context.Context, replaced map[string]bool) error {
	w := &watch{call: c, reasons: map[string]string{}, replaced: replaced}
	said := ""
	for {
		lacks, err := w.lacking(ctx)
		switch {
		case err != nil && !w.passing(ctx, err):
			return waitError(ctx, said, err)
		case err == nil && len(lacks) == 0:
			return nil
		case err == nil:
			w.misses = 0
			if text := strings.Join(lacks, "; "); text != said {
				said = text
				c.note("Waiting: %s", said)
			}
		}
		if err := c.pause(ctx); err != nil {
			return waitError(ctx, said, err)
		}
	}
}

// waitError is the error of a wait that ended without what was waited for.
func waitError(ctx context.Context, lacks string, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case errors.Is(context.Cause(ctx), errTimeout):
		return failed(exitTimeout, "not all runs yet: %s", orDash(lacks)).withHint("--timeout waits longer")
	}
	return failed(exitInterrupted, "interrupted")
}

// lacking says what is wanted and does not run. A newest release that failed is an error, but to one who waits for a restart.
func (w *watch) lacking(ctx context.Context) ([]string, error) {
	app, err := w.client.App(ctx, w.app)
	if err != nil || app.Maintenance {
		return nil, err
	}
	releases, err := w.client.Releases(ctx, w.app)
	if err != nil || len(releases) == 0 {
		return nil, err
	}
	newest := releases[len(releases)-1]
	if newest.Status == client.ReleaseFailed {
		if w.replaced == nil {
			return nil, w.failure(ctx, newest)
		}
		newest = wanted(releases)
	}
	if newest.Slug == nil {
		return nil, nil // nothing to run
	}
	dynos, err := w.dynos(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range app.Formation {
		if t.AdditionalInfo != "" {
			return nil, failed(exitRelease, "%s: %s", t.Type, clean(t.AdditionalInfo)).withHint("dynomad ps:update %s -a %s changes the type", t.Type, w.app)
		}
	}
	lacks := w.short(app.Formation, dynos, newest.Version)
	if newest.Status == client.ReleasePending && len(lacks) == 0 {
		lacks = append(lacks, newest.Tag()+" is not settled")
	}
	return lacks, nil
}

// wanted is what a restart runs: the newest release that did not fail, else the newest.
func wanted(releases []client.Release) client.Release {
	for _, r := range slices.Backward(releases) {
		if r.Status != client.ReleaseFailed {
			return r
		}
	}
	return releases[len(releases)-1]
}

// short says which types have fewer dynos ready, as they are wanted, than are wanted.
func (w *watch) short(types []client.DynoType, dynos []dyno, version int) []string {
	var lacks []string
	for _, t := range types {
		if t.OneOff || t.Schedule != nil {
			continue
		}
		ready, why := w.ready(t, dynos, version)
		if ready < t.Quantity || (why != "" && t.Quantity > 0) {
			lacks = append(lacks, fmt.Sprintf("%d of %s of %s%s", ready, plural(t.Quantity, "dyno"), t.Type, why))
		}
	}
	return lacks
}

// ready counts a type's dynos that are ready as they are wanted, and says what is wrong with another.
func (w *watch) ready(t client.DynoType, dynos []dyno, version int) (n int, why string) {
	for _, d := range dynos {
		switch {
		case d.Type != t.Type || d.State == client.StateStopping || d.State == client.StateStopped:
		case w.replaced[d.ID]:
			why = ", " + d.label() + " is still to be replaced"
		case d.State == client.StateRunning && d.Ready && asWanted(d, t, version):
			n++
		case troubled(d.State):
			why = ", " + d.label() + " is " + d.State + clean(d.reason())
		}
	}
	return n, why
}

// asWanted reports whether a dyno is of the newest release and of its type's definition, as far as that shows.
func asWanted(d dyno, t client.DynoType, version int) bool {
	sameCommand := t.Command == nil || (d.Command != nil && *d.Command == *t.Command)
	return d.Release.Version == version && d.Size == t.Size && sameCommand
}
