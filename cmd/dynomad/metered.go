package main

import (
	"context"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/store"
)

// What becomes of one-off and scheduled dynos.
const (
	runSucceeded  = "succeeded" // exit code 0
	runFailed     = "failed"    // another one
	runStopped    = "stopped"   // no process ended by itself: stopped, out of time, lost
	runNotStarted = "start-failure"
)

// What becomes of the minutes of schedules.
const (
	minuteRun     = "run"
	minuteSkipped = "skipped" // the run before was still going
	minuteMissed  = "missed"  // the daemon or Nomad was away
)

// meteredStore is the store with what it records of runs counted, whoever records it.
type meteredStore struct {
	*store.Store
	metrics *metrics
}

// EndRun counts the end of a run.
func (s meteredStore) EndRun(ctx context.Context, appID, runID string, end dynomad.RunEnd, audits ...dynomad.Audit) error {
	err := s.Store.EndRun(ctx, appID, runID, end, audits...)
	if err == nil {
		s.metrics.runs.WithLabelValues(runOutcome(end)).Inc()
	}
	return err
}

func runOutcome(end dynomad.RunEnd) string {
	switch {
	case end.State == dynomad.StateStartFailure:
		return runNotStarted
	case end.ExitCode == nil:
		return runStopped
	case *end.ExitCode == 0:
		return runSucceeded
	}
	return runFailed
}

// TakeSlots counts the minutes of a schedule.
func (s meteredStore) TakeSlots(
	ctx context.Context, appID, typeID string, decide func(dynomad.AppState, dynomad.DynoType, time.Time) dynomad.Slots,
) error {
	var taken dynomad.Slots
	err := s.Store.TakeSlots(ctx, appID, typeID, func(state dynomad.AppState, t dynomad.DynoType, until time.Time) dynomad.Slots {
		taken = decide(state, t, until)
		return taken
	})
	if err != nil {
		return err
	}
	s.metrics.minutes.WithLabelValues(minuteMissed).Add(float64(taken.Missed))
	for _, run := range taken.Runs {
		outcome := minuteRun
		if run.Ended != nil {
			outcome = minuteSkipped
		}
		s.metrics.minutes.WithLabelValues(outcome).Inc()
	}
	return nil
}
