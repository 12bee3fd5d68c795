package reconcile_test

import (
	"context"
	"slices"

	"github.com/dynomad/dynomad"
)

func (d *desired) AppsWithRuns(context.Context) (ids []string, err error) {
	err = d.do(func() error {
		for id, r := range d.apps {
			if len(r.runs) > 0 {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

func (d *desired) AppRuns(_ context.Context, appID string) (w dynomad.AppRuns, err error) {
	err = d.do(func() error {
		r := d.apps[appID]
		if r == nil {
			return dynomad.Errorf(dynomad.NotFound, "There is no app %s.", appID)
		}
		w = dynomad.AppRuns{App: r.app, Deleted: r.deleted, Runs: slices.Clone(r.runs)}
		return nil
	})
	return w, err
}

func (d *desired) ConfigVars(_ context.Context, configID string) (vars dynomad.ConfigVars, err error) {
	err = d.do(func() error {
		for _, r := range d.apps {
			if found, ok := r.configs[configID]; ok {
				vars = found
			}
		}
		return nil
	})
	return vars, err
}

// onRun makes one call that changes a run.
func (d *desired) onRun(appID, runID string, change func(*dynomad.Run)) error {
	return d.do(func() error {
		for i := range d.apps[appID].runs {
			if r := &d.apps[appID].runs[i]; r.ID == runID {
				change(r)
			}
		}
		return nil
	})
}

func (d *desired) RunRegistered(_ context.Context, appID, runID string) error {
	return d.onRun(appID, runID, func(r *dynomad.Run) { r.Registered = true })
}

func (d *desired) RunPlaced(_ context.Context, appID, runID, allocID string) (placed string, err error) {
	err = d.onRun(appID, runID, func(r *dynomad.Run) {
		if r.AllocID == "" {
			r.AllocID = allocID
		}
		placed = r.AllocID
	})
	return placed, err
}

func (d *desired) StopRun(_ context.Context, appID, runID, reason string, audit dynomad.Audit) error {
	return d.onRun(appID, runID, func(r *dynomad.Run) {
		if r.StopReason == "" && r.Ended == nil {
			r.StopReason = reason
			d.audits = append(d.audits, audit)
		}
	})
}

func (d *desired) EndRun(_ context.Context, appID, runID string, end dynomad.RunEnd, audits ...dynomad.Audit) error {
	return d.onRun(appID, runID, func(r *dynomad.Run) {
		if r.Ended == nil {
			r.Ended, r.Env = &end, nil
			d.audits = append(d.audits, audits...)
		}
	})
}

func (d *desired) RunRemoved(_ context.Context, appID, runID string) error {
	return d.do(func() error {
		r := d.apps[appID]
		r.runs = slices.DeleteFunc(r.runs, func(run dynomad.Run) bool {
			if run.ID == runID {
				r.gone = append(r.gone, run)
			}
			return run.ID == runID
		})
		return nil
	})
}
