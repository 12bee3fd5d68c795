// Package schedule has dynos run when their types' schedules come due. It records the runs; the loop starts them.
//
// What has come due and until when that was seen to are recorded together, so that no minute is run twice, whenever the daemon ends. While
// the cluster is out of sight nothing is taken: what comes due then is run, or missed, when it is back.
package schedule

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// lookGap is the longest between two looks at the schedules: those that are new are found so. They ask the store, not Nomad.
const lookGap = 5 * time.Second

// Store keeps the schedules.
type Store interface {
	Schedules(ctx context.Context) ([]dynomad.Schedule, error)
	// TakeSlots commits what decide makes of what has come due of a type's schedule.
	TakeSlots(ctx context.Context, appID, typeID string, decide func(dynomad.AppState, dynomad.DynoType, time.Time) dynomad.Slots) error
}

// Config is what a Scheduler needs.
type Config struct {
	Store   Store
	Rules   dynomad.Rules
	Follows func(dynomad.App) bool // is the app's part of the cluster in sight?
	Wake    func(appID string)     // starts the loop for an app
	Held    func() bool            // may this process write to the cluster now? nil is always
	Now     func() time.Time
	NewID   func() string
	Log     hclog.Logger
}

// Scheduler runs what schedules say.
type Scheduler struct{ Config }

// New makes a Scheduler; Run starts it.
func New(c Config) *Scheduler { return &Scheduler{Config: c} }

// Run looks at the schedules whenever one comes due, until ctx ends.
func (s *Scheduler) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(s.look(ctx))
	}
}

// look takes what has come due, and gives the time until the next look.
func (s *Scheduler) look(ctx context.Context) time.Duration {
	if s.Held != nil && !s.Held() {
		return lookGap
	}
	all, err := s.Store.Schedules(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("cannot read the schedules", "error", err)
		}
		return lookGap
	}
	pause := lookGap
	for _, one := range all {
		parsed, err := dynomad.ParseSchedule(one.Expr)
		if err != nil {
			continue // checked when it was made
		}
		now := s.Now()
		if !parsed.Next(one.SeenUntil.UTC()).After(now) || dynomad.SetBack(one.SeenUntil, now) {
			s.take(ctx, one, now)
		}
		if next := parsed.Next(now.UTC()); !next.IsZero() {
			pause = min(pause, next.Sub(now))
		}
	}
	return max(pause, time.Millisecond)
}

// take records what becomes of what has come due of one schedule.
func (s *Scheduler) take(ctx context.Context, one dynomad.Schedule, now time.Time) {
	made := 0
	err := s.Store.TakeSlots(ctx, one.AppID, one.TypeID, func(state dynomad.AppState, t dynomad.DynoType, until time.Time) dynomad.Slots {
		if !s.Follows(state.App) {
			return dynomad.Slots{SeenUntil: until}
		}
		taken := s.Rules.TakeSlots(state, t, until, now, s.NewID)
		for i := range taken.Audits {
			taken.Audits[i].ID, taken.Audits[i].UserEmail, taken.Audits[i].CreatedAt = s.NewID(), dynomad.RootEmail, now
			s.Log.Warn("schedule", "app", state.App.Name, "type", t.Type, "info", taken.Audits[i].Details)
		}
		made = len(taken.Runs)
		return taken
	})
	if err != nil {
		s.Log.Error("cannot record what a schedule says", "app_id", one.AppID, "error", err)
		return
	}
	if made > 0 {
		s.Wake(one.AppID)
	}
}
