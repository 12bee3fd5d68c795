package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dynomad/dynomad/client"
)

// follow waits for the end of a release's rollout and tells of each new dyno as its state changes. A release that fails is an error
// with the dynos' reasons.
func (c *call) follow(ctx context.Context, release client.Release) (client.Release, error) {
	w := &watch{call: c, version: release.Version, told: map[string]string{}, reasons: map[string]string{}, crashed: map[string]string{}}
	for {
		now, err := c.client.Release(ctx, c.app, release.ID)
		if err == nil {
			release = now
			err = w.look(ctx) // after the release was asked for: what ended it is seen
		}
		switch {
		case err != nil && !w.passing(ctx, err):
			return release, w.left(ctx, release, err)
		case err == nil && release.Status == client.ReleaseFailed:
			return release, w.failure(ctx, release)
		case err == nil && release.Status != client.ReleasePending:
			return release, nil
		}
		if err := c.pause(ctx); err != nil {
			return release, w.left(ctx, release, err)
		}
	}
}

// watch is what was seen of a release's dynos.
type watch struct {
	*call
	version int
	told    map[string]string // by id: what was last said of a dyno
	reasons map[string]string // by name: why a dyno does not run
	crashed map[string]string // by name: the id of a dyno that ended by itself
	misses  int               // looks in a row without an answer

	replaced map[string]bool // ids of dynos that are to go
}

// look tells of the dynos that changed.
func (w *watch) look(ctx context.Context) error {
	dynos, err := w.dynos(ctx)
	if err != nil {
		return err
	}
	w.misses = 0
	for _, d := range dynos {
		if d.Release.Version != w.version || d.Type == oneOff || d.State == client.StateStopping || d.State == client.StateStopped {
			continue
		}
		said := d.State + d.note()
		if w.told[d.ID] == said {
			continue
		}
		w.told[d.ID] = said
		delete(w.reasons, d.label())
		if troubled(d.State) {
			w.reasons[d.label()] = d.State + d.reason()
		}
		if d.State == client.StateAppCrashed {
			w.crashed[d.label()] = d.ID
		}
		if !w.json {
			w.say("  %s  %s%s", d.label(), w.paint(stateColor(d.State), d.State), clean(d.note()))
		}
	}
	return nil
}

// troubled reports whether a state is one that fails a release.
func troubled(state string) bool {
	return slices.Contains([]string{client.StateAppCrashed, client.StateStartFailure, client.StateProbeFailure, client.StateWaiting}, state)
}

// mostMisses is how many looks in a row may go without an answer: the daemon may be restarted meanwhile.
const mostMisses = 20

// passing reports whether an error may be over at the next look.
func (w *watch) passing(ctx context.Context, err error) bool {
	var e *client.Error
	w.misses++
	answered := errors.As(err, &e)
	return ctx.Err() == nil && w.misses < mostMisses && (!answered || e.Status >= 500)
}

// left is the error of one who stops waiting.
func (w *watch) left(ctx context.Context, release client.Release, err error) error {
	next := fmt.Sprintf("%s goes on by itself; dynomad ps:wait -a %s waits for it", release.Tag(), w.app)
	switch {
	case errors.Is(err, errTimeout) || errors.Is(context.Cause(ctx), errTimeout):
		return failed(exitTimeout, "%s has not come up in time", release.Tag()).withHint("%s", next)
	case ctx.Err() != nil:
		return failed(exitInterrupted, "interrupted").withHint("%s", next)
	}
	return err
}

// failure is the error of a release that failed.
func (w *watch) failure(ctx context.Context, release client.Release) error {
	text := release.Tag() + " failed: " + clean(orDash(release.AdditionalInfo))
	for _, name := range sortedKeys(w.reasons) {
		if _, info, _ := strings.Cut(w.reasons[name], ": "); info == "" || !strings.Contains(release.AdditionalInfo, info) {
			text += "\n  " + name + " was " + clean(w.reasons[name])
		}
	}
	text += w.lastWords(ctx)
	next := "dynomad ps -a " + w.app + " shows what runs"
	if current := w.current(ctx); current != "" {
		next = current + " stays in use; " + next
	}
	return failed(exitRelease, "%s", text).withHint("%s", next)
}

// How much of a crashed dyno's output is shown, and how long it is waited for.
const (
	lastLines = 10
	lastBytes = 64 << 10
	lastTime  = 5 * time.Second
)

// lastWords are the last lines that the first crashed dyno wrote; "" if there are none, or the token may not read them.
func (w *watch) lastWords(ctx context.Context) string {
	names := sortedKeys(w.crashed)
	if len(names) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	most := lastLines
	logs, err := w.client.Logs(ctx, w.app, client.LogOptions{Lines: &most, Dyno: w.crashed[names[0]], Source: "app"})
	if err != nil {
		return ""
	}
	defer logs.Close()                                     //nolint:errcheck // only read
	text, _ := io.ReadAll(io.LimitReader(logs, lastBytes)) // what has come is shown
	said := ""
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			said += "\n    " + clean(line)
		}
	}
	if said == "" {
		return ""
	}
	return "\n  The last lines of " + names[0] + ":" + said
}

// current is the tag of the release that is in use; "" if there is none, or nobody says.
func (w *watch) current(ctx context.Context) string {
	releases, err := w.client.Releases(ctx, w.app)
	i := slices.IndexFunc(releases, func(r client.Release) bool { return r.Current })
	if err != nil || i < 0 {
		return ""
	}
	return releases[i].Tag()
}
