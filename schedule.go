package dynomad

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// ParseSchedule reads a five-field cron expression, which is in UTC.
func ParseSchedule(expr string) (cron.Schedule, error) {
	if strings.HasPrefix(expr, "@") || strings.Contains(expr, "TZ=") {
		return nil, Invalidf("schedule", "The schedule must have the five fields of cron, in UTC: minute, hour, day of month, month, day of week.")
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	s, err := parser.Parse(expr)
	if err != nil {
		return nil, Invalidf("schedule", "The schedule %s is not five fields of cron: %s.", quoted(expr), clip(err.Error()))
	}
	return s, nil
}

func validSchedule(expr string) error {
	s, err := ParseSchedule(expr)
	if err != nil {
		return err
	}
	// The library looks five years ahead; from a fixed time, so that the same text always gets the same answer.
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Invalidf("schedule", "The schedule %s never comes due.", quoted(expr))
	}
	return nil
}

// Schedule is a dyno type's schedule and how far it was seen to.
type Schedule struct {
	AppID     string
	TypeID    string
	Expr      string
	SeenUntil time.Time // what comes due after it has yet to be seen to
}

// Slots is what became of the minutes that came due of a schedule; it is recorded whole.
type Slots struct {
	SeenUntil time.Time
	Runs      []Run // of a minute each, unnumbered; one that has ended already was skipped
	Missed    int   // minutes that came due too long ago
	Audits    []Audit
}

// SlotLate is how late a run of a schedule may start; after that its minute is missed.
const SlotLate = time.Minute

// StateSkipped is the end of a run of a schedule that never was, since the one before was still going. It is no dyno's.
const StateSkipped DynoState = "skipped"

// maxMissed bounds how many missed minutes are counted.
const maxMissed = 1000

// SetBack reports whether a schedule was seen to until a time that is to come: the clock was set back, and by more than it wavers.
func SetBack(seenUntil, now time.Time) bool { return seenUntil.Sub(now) > SlotLate }

// TakeSlots decides what becomes of the minutes that came due of a type's schedule after a time and until now. While the type is paused
// (quantity 0, maintenance, nothing to run yet) they pass. Those that are too late are missed, and reported in one line. If the
// run before is still going, a minute is skipped.
//
// A clock that was set back has the schedule go on from what it says now: minutes that were run under the same name have their record, and
// the store runs none twice.
func (r Rules) TakeSlots(s AppState, t DynoType, after, now time.Time, newID func() string) Slots {
	taken := Slots{SeenUntil: now}
	if SetBack(after, now) {
		taken.Audits = append(taken.Audits, Audit{Action: "schedule.clock", Details: fmt.Sprintf(
			"The clock was set back by %s or more. The schedule of %s goes on from %s; minutes that were run are not run again.",
			after.Sub(now).Truncate(time.Second), t.Type, now.UTC().Format(time.RFC3339),
		)})
		return taken
	}
	due, missed := dueSlots(*t.Schedule, after, now)
	if t.Quantity == 0 || s.App.Maintenance || len(due)+missed.count == 0 {
		return taken
	}
	run, err := r.NewRun(s, NewRun{Type: t.ID})
	if err != nil && KindOf(err) == Conflict && s.Build == nil {
		return taken
	}
	if taken.Missed = missed.count; missed.count > 0 {
		taken.Audits = append(taken.Audits, Audit{Action: "schedule.missed", Details: missed.details(t)})
	}
	going := goingOf(s, t)
	for _, slot := range due {
		skipped := ""
		switch {
		case err != nil:
			skipped = err.Error()
		case going != "":
			skipped = fmt.Sprintf("The run before, %s, is still going.", going)
		}
		run.ID, run.Scheduled, run.CreatedAt, run.Ended = newID(), slot, now, nil
		if skipped != "" {
			run.Ended = &RunEnd{At: now, State: StateSkipped, Info: skipped}
			taken.Audits = append(taken.Audits, Audit{
				Action: "schedule.skip", Details: fmt.Sprintf("Skipped the run of %s that was due at %s. %s", t.Type, slot.Format(time.RFC3339), skipped),
			})
		} else {
			going = "of " + slot.Format(time.RFC3339)
		}
		if err == nil {
			taken.Runs = append(taken.Runs, run)
		}
	}
	return taken
}

// missedSlots are minutes that came due and cannot be run any more.
type missedSlots struct {
	count       int
	first, last time.Time
}

func (m missedSlots) details(t DynoType) string {
	const why = "The daemon or Nomad was away."
	first, last := m.first.Format(time.RFC3339), m.last.Format(time.RFC3339)
	switch {
	case m.count == 1:
		return fmt.Sprintf("Missed the run of %s that was due at %s. %s", t.Type, first, why)
	case m.count >= maxMissed:
		return fmt.Sprintf("Missed %d runs or more of %s, due from %s on. %s", m.count, t.Type, first, why)
	}
	return fmt.Sprintf("Missed %d runs of %s, due from %s to %s. %s", m.count, t.Type, first, last, why)
}

// dueSlots gives the minutes that came due: those that can still be run, and what there is to say of those that cannot.
func dueSlots(expr string, after, now time.Time) (due []time.Time, missed missedSlots) {
	schedule, err := ParseSchedule(expr)
	if err != nil {
		return nil, missed // checked when the type was made
	}
	inTime := now.Add(-SlotLate).Add(-1) // just before the first that is in time
	for slot := schedule.Next(after.UTC()); !slot.IsZero() && !slot.After(inTime) && missed.count < maxMissed; slot = schedule.Next(slot) {
		if missed.count++; missed.count == 1 {
			missed.first = slot
		}
		missed.last = slot
	}
	if after.Before(inTime) {
		after = inTime
	}
	for slot := schedule.Next(after.UTC()); !slot.IsZero() && !slot.After(now); slot = schedule.Next(slot) {
		due = append(due, slot)
	}
	return due, missed
}

// goingOf names a run of a type that has not ended; "" if there is none.
func goingOf(s AppState, t DynoType) string {
	for _, r := range s.Runs {
		if r.TypeID == t.ID && r.Ended == nil {
			return r.Name()
		}
	}
	return ""
}

// How many times to come, and runs that were, are shown of a schedule.
const (
	shownNextRuns = 3
	shownLastRuns = 5
)

// NextRuns gives the next times that a type's schedule comes due; none while it is paused.
func (s AppState) NextRuns(t DynoType, now time.Time) []time.Time {
	if t.Schedule == nil || t.Quantity == 0 || s.App.Maintenance {
		return nil
	}
	schedule, err := ParseSchedule(*t.Schedule)
	if err != nil {
		return nil
	}
	var next []time.Time
	for slot := schedule.Next(now.UTC()); !slot.IsZero() && len(next) < shownNextRuns; slot = schedule.Next(slot) {
		next = append(next, slot)
	}
	return next
}

// LastRuns gives the newest runs that a type's schedule has made, the newest first.
func (p *Platform) LastRuns(ctx context.Context, t DynoType) ([]Run, error) {
	if t.Schedule == nil {
		return nil, nil
	}
	return p.runs.LastRuns(ctx, t.ID, shownLastRuns)
}
