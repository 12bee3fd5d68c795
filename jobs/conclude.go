package jobs

import (
	"fmt"
	"slices"
	"time"

	"github.com/dynomad/dynomad"
)

// Conclude says what the end of a rollout means for the app. The audits have an action and details only.
//
// A rollout that went well proves its types' definitions good, and its release. In one that failed, a definition that has yet
// to prove good is blamed before the release is: the type is held at its last good definition, and the release is tried
// again with that. If it fails then too, it is to blame, and the types have their chance with the release before. What has
// nothing good to go back to stays in place and is tried again, ever more slowly.
func Conclude(w dynomad.Wanted, failed bool, reason string, now time.Time) dynomad.RolloutEnd {
	c := conclusion{Wanted: w, end: dynomad.RolloutEnd{Applied: w.Applied}, now: now}
	c.end.Applied.RollingOut = false
	if failed {
		c.bad(reason)
	} else {
		c.good()
	}
	return c.end
}

type conclusion struct {
	dynomad.Wanted
	end dynomad.RolloutEnd
	now time.Time
}

func (c *conclusion) rollout() *dynomad.Rollout { return &c.end.Applied.Rollout }

// current reports whether the release that rolled out is still the wanted one.
func (c *conclusion) current() bool {
	return c.Wanted.Wanted != nil && c.Wanted.Wanted.ID == c.rollout().ReleaseID
}

func (c *conclusion) good() {
	a := &c.end.Applied
	a.FailedHash, a.Problem = "", ""
	a.Rollout.Tries, a.Rollout.RetryAt, a.Rollout.Troubles = 0, time.Time{}, nil
	for _, t := range c.Types {
		record := t.Record
		if r, ok := a.Rollout.Type(t.Type); ok && r.TypeID == t.ID && r.Count > 0 {
			record.Good = &r.Definition
			if record.Failed != nil && record.Failed.Equal(r.Definition) {
				record.Failed, record.Reason, record.State = nil, "", ""
			}
		}
		if record.FailedIn == a.Rollout.ReleaseID {
			record.FailedIn = "" // the release is good without it
		}
		c.put(t, record)
	}
	if c.current() {
		c.endRelease(dynomad.ReleaseSucceeded, "", fmt.Sprintf("Release v%d succeeded.", a.Rollout.Version))
	}
}

func (c *conclusion) bad(reason string) {
	a := &c.end.Applied
	a.FailedHash, a.Problem = a.SpecHash, Reason(a.Rollout.Troubles, reason)
	switch {
	case !c.current():
	case !a.Rollout.Trial:
		c.retry()
	case c.onTrial():
		if blamed := c.suspects(); c.tellsApart(blamed) {
			c.hold(blamed, a.Rollout.ReleaseID)
			return
		}
		c.failRelease()
	case neverRan(c.Wanted):
		c.retry()
	default:
		c.hold(c.suspects(), "")
	}
}

// onTrial reports whether the release has yet to prove good.
func (c *conclusion) onTrial() bool { return c.Wanted.Wanted.Status != dynomad.ReleaseSucceeded }

// suspects are the types that failed with a definition that has yet to prove good.
func (c *conclusion) suspects() []dynomad.DynoType {
	var suspects []dynomad.DynoType
	for _, t := range c.Types {
		if r, ok := c.rendered(t); ok && c.failing(t.Type) && !t.Proven(r.Definition) {
			suspects = append(suspects, t)
		}
	}
	return suspects
}

// rendered gives what was to run of a type.
func (c *conclusion) rendered(t dynomad.DynoType) (dynomad.RenderedType, bool) {
	r, ok := c.rollout().Type(t.Type)
	return r, ok && r.TypeID == t.ID && r.Count > 0
}

// failing reports whether a type's dynos failed; where nobody knows which did, all are meant.
func (c *conclusion) failing(dynoType string) bool {
	troubles := c.rollout().Troubles
	return len(troubles) == 0 || slices.ContainsFunc(troubles, func(t dynomad.Trouble) bool { return t.Type == dynoType })
}

// tellsApart reports whether the release is worth another try without the suspects' definitions: they are all that failed, and
// there is either something to hold each at or another type that shows the release to run.
func (c *conclusion) tellsApart(suspects []dynomad.DynoType) bool {
	if len(suspects) == 0 {
		return false
	}
	fallback, others := true, false
	for _, t := range c.Types {
		if _, ok := c.rendered(t); !ok {
			continue
		}
		suspect := slices.ContainsFunc(suspects, func(s dynomad.DynoType) bool { return s.ID == t.ID })
		switch {
		case suspect:
			fallback = fallback && t.Record.Good != nil
		case c.failing(t.Type):
			return false
		default:
			others = true
		}
	}
	return fallback || others
}

// hold has types run at their last good definition from now on, or not at all.
func (c *conclusion) hold(types []dynomad.DynoType, release string) {
	for _, t := range types {
		r, _ := c.rendered(t)
		record := t.Record
		record.Failed, record.FailedIn = &r.Definition, release
		record.Reason, record.State = c.end.Applied.Problem, dynomad.StateAppCrashed
		for _, trouble := range c.rollout().Troubles {
			if trouble.Type == t.Type {
				record.Reason, record.State = trouble.Info, trouble.State
			}
		}
		c.put(t, record)
		t.Record = record
		c.note("formation.failed", fmt.Sprintf("The rollout of %s failed: %s It is %s", t.Type, record.Reason, held(t)))
	}
}

func held(t dynomad.DynoType) string {
	if t.Record.Good == nil {
		return "left out until it is changed."
	}
	return fmt.Sprintf("held at its last good definition: %s.", t.Record.Good)
}

// failRelease ends the release, and gives the types that were held for its sake their chance with another.
func (c *conclusion) failRelease() {
	a := c.end.Applied
	c.endRelease(dynomad.ReleaseFailed, a.Problem, fmt.Sprintf("Release v%d failed: %s", a.Rollout.Version, a.Problem))
	for _, t := range c.Types {
		if record := t.Record; record.FailedIn != "" && record.FailedIn == a.Rollout.ReleaseID {
			record.Failed, record.FailedIn, record.Reason, record.State = nil, "", "", ""
			c.put(t, record)
		}
	}
	if inPlace(c.Wanted) {
		c.retry()
	}
}

func (c *conclusion) retry() { c.rollout().RetryAt = c.now.Add(RetryPause(c.rollout().Tries)) }

// endRelease changes the wanted release's status if it can: a failed one that was tried again can still succeed.
func (c *conclusion) endRelease(status, info, details string) {
	from := c.Wanted.Wanted.Status
	if from == status || from == dynomad.ReleaseSucceeded {
		return
	}
	c.end.Release = &dynomad.ReleaseEnd{
		ID: c.Wanted.Wanted.ID, From: from, Status: status, Info: info,
		Audit: dynomad.Audit{Action: "release." + status, Details: details},
	}
}

// put has a type's record written if it differs.
func (c *conclusion) put(t dynomad.DynoType, record dynomad.TypeRecord) {
	same := func(a, b *dynomad.Definition) bool { return a == b || (a != nil && b != nil && a.Equal(*b)) }
	old := t.Record
	if same(old.Good, record.Good) && same(old.Failed, record.Failed) && old.FailedIn == record.FailedIn {
		return
	}
	record.TypeID = t.ID
	c.end.Records = append(c.end.Records, record)
}

func (c *conclusion) note(action, details string) {
	c.end.Audits = append(c.end.Audits, dynomad.Audit{Action: action, Details: details})
}
