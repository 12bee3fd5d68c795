package dynomad

import (
	"context"
	"fmt"
)

// runStore keeps runs.
type runStore interface {
	// CreateRun adds the run that decide makes of an app's state and the run's number, in one transaction. decide must be pure: it may
	// be run again.
	CreateRun(ctx context.Context, key string, decide func(s AppState, number int) (Run, Audit, error)) (AppState, Run, error)
	// StopRun records why a run is to end, and the audit; nothing if it has ended or was told to before.
	StopRun(ctx context.Context, appID, runID, reason string, audit Audit) error
	// EndRun records what became of a run, once, with audits.
	EndRun(ctx context.Context, appID, runID string, end RunEnd, audits ...Audit) error
	// AttachedRuns gives the runs of all apps that a client is to attach to, if they have neither ended nor are to.
	AttachedRuns(ctx context.Context) ([]Run, error)
	// LastRuns gives the newest runs of a type's schedule, the newest first.
	LastRuns(ctx context.Context, typeID string, most int) ([]Run, error)
}

// CreateRun runs a dyno once. The loop starts it.
func (p *Platform) CreateRun(ctx context.Context, key string, n NewRun) (AppState, Dyno, error) {
	var change announced
	after, run, err := p.runs.CreateRun(ctx, key, func(s AppState, number int) (Run, Audit, error) {
		if !PrincipalFrom(ctx).Sees(s.App.ID, s.App.SpaceID) {
			return Run{}, Audit{}, appMissing(key)
		}
		run, err := p.Rules.NewRun(s, n)
		if err != nil {
			return Run{}, Audit{}, err
		}
		run.ID, run.Number, run.CreatedAt = p.NewID(), number, p.Now()
		if ttl := n.timeToLive(); ttl > 0 {
			run.Deadline = run.CreatedAt.Add(ttl)
		}
		change = p.announce(ctx, s.App.ID)
		return run, p.audit(ctx, "dyno.create", run.describe()), nil
	})
	p.wakeAfter(ctx, change)
	if err != nil {
		return AppState{}, Dyno{}, err
	}
	return after, run.Dyno(after.App), nil
}

// describe says what is run, for an audit. What its environment holds is no part of it.
func (r Run) describe() string {
	what := "the image's command"
	if r.Command != nil {
		what = quoted(*r.Command)
	}
	if r.Attach {
		what += " for a terminal"
	}
	return fmt.Sprintf("Ran %s as %s, of size %s, from %s.", what, r.Name(), r.Size, r.Image)
}

// stopRun has a run ended.
func (p *Platform) stopRun(ctx context.Context, s AppState, d Dyno) error {
	change := p.announce(ctx, s.App.ID)
	err := p.runs.StopRun(ctx, s.App.ID, d.ID, "It was stopped by request.", p.audit(ctx, "dyno.stop", "Stopped "+d.Name+"."))
	p.wakeAfter(ctx, change)
	return err
}
