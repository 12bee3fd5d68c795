package jobs

import (
	"fmt"
	"slices"
	"time"

	"github.com/dynomad/dynomad"
)

// Pauses between tries of what has no good state to go back to: doubled each time.
const (
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
)

// Rendering gives what an Input makes run, to be recorded with its register.
func Rendering(in Input, w dynomad.Wanted, now time.Time) dynomad.Rollout {
	r := dynomad.Rollout{ReleaseID: w.Wanted.ID, Version: w.Wanted.Version, StartedAt: now, Tries: tries(w), Mark: retries(w)}
	for _, g := range in.Groups {
		r.Types = append(r.Types, dynomad.RenderedType{
			TypeID: g.Type.ID, Type: g.Type.Type, Definition: g.Type.Definition(), Count: g.Count,
		})
		if g.Count > 0 && (w.Wanted.Status != dynomad.ReleaseSucceeded || !g.Type.Proven(g.Type.Definition())) {
			r.Trial = true
		}
	}
	return r
}

// Capped gives the Input with no count higher than the one registered. A rollout on trial would start anew if one rose.
func (in Input) Capped(r dynomad.Rollout) Input {
	in.Groups = slices.Clone(in.Groups)
	for i, g := range in.Groups {
		if now, ok := r.Type(g.Type.Type); ok {
			in.Groups[i].Count = min(g.Count, now.Count)
		}
	}
	return in
}

// Lowered gives the counts that must come down, by group, before a register that replaces dynos of those groups: in one go
// Nomad ends old ones before the new ones have proved good (https://github.com/hashicorp/nomad/issues/19643).
func Lowered(in Input, registered dynomad.Rollout) map[string]int {
	lower := map[string]int{}
	for _, g := range in.Groups {
		now, ok := registered.Type(g.Type.Type)
		if !ok || g.Count == 0 || g.Count >= now.Count {
			continue
		}
		if registered.Version != g.ReleaseVersion || !now.Definition.Equal(g.Type.Definition()) {
			lower[g.Type.Type] = g.Count
		}
	}
	return lower
}

// neverRan reports whether no dyno type of the app was ever rolled out well: there is nothing to go back to.
func neverRan(w dynomad.Wanted) bool {
	return !slices.ContainsFunc(w.Types, func(t dynomad.DynoType) bool { return t.Record.Good != nil })
}

// inPlace reports whether what fails stays in place, to be tried again.
func inPlace(w dynomad.Wanted) bool {
	return neverRan(w) || (w.Wanted != nil && w.Wanted.Status == dynomad.ReleaseFailed)
}

// tries gives how often the wanted release was tried again.
func tries(w dynomad.Wanted) int {
	if r := w.Applied.Rollout; w.Wanted != nil && r.ReleaseID == w.Wanted.ID {
		return r.Tries
	}
	return 0
}

// retries gives the number in the groups' meta that makes Nomad place anew what failed: it does not do so by itself after a
// failed first deployment, as long as it knows of that (see Tried). Of a release that has succeeded it stays what it was: another number would replace dynos that are well.
func retries(w dynomad.Wanted) int {
	r := w.Applied.Rollout
	switch {
	case inPlace(w):
		return tries(w)
	case w.Wanted != nil && r.ReleaseID == w.Wanted.ID:
		return r.Mark
	}
	return 0
}

// RetryPause gives the pause before the next try.
func RetryPause(tries int) time.Duration {
	if tries > 5 {
		return lastRetry
	}
	return min(firstRetry<<tries, lastRetry)
}

// Reason puts what is wrong with the types' dynos into a sentence or several.
func Reason(troubles []dynomad.Trouble, otherwise string) string {
	text := ""
	for _, t := range troubles {
		if text != "" {
			text += " "
		}
		text += fmt.Sprintf("%s is %s: %s", t.Type, t.State, t.Info)
	}
	if text == "" {
		return otherwise
	}
	return text
}
