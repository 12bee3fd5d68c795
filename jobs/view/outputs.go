package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
)

// Outputs tells where the output of an app's dynos is found: of those whose process was started once, in no order and without
// the dynos' names. They are whole if none that there is can be missing.
func (v *View) Outputs(state dynomad.AppState) (all []logs.Output, whole bool) {
	app := state.App
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[cmp.Or(app.NomadNamespace, v.Namespace)]
	whole = ns != nil && ns.synced
	all = v.runOutputs(state)
	j := v.jobOf(app)
	if j == nil || j.info.AppID != app.ID {
		return all, whole
	}
	for id, a := range j.allocs {
		if a.Task.Started == 0 {
			continue
		}
		began := a.Task.Started
		if a.Task.Restarts > 0 { // that is the last start
			began = a.Created
		}
		all = append(all, logs.Output{
			Alloc: id, Namespace: a.Namespace, Task: a.Group, DynoID: id, Proc: jobs.TypeN(a.Group, int(a.Index)), Type: a.Group,
			Began: time.Unix(0, began), Ended: a.Ended(), EndedAt: endOf(a),
		})
	}
	return all, whole
}

// endOf gives when an allocation's process ended, or zero.
func endOf(a jobs.Alloc) (at time.Time) {
	if a.Ended() && a.Task.Finished != 0 {
		at = time.Unix(0, a.Task.Finished)
	}
	return at
}

// endedRuns is of how many runs that have ended the output is shown, the newest: to look for it costs requests to Nomad.
const endedRuns = 20

// runOutputs gives the outputs of an app's runs. What an attached one writes goes to its client alone. v.mu is held.
func (v *View) runOutputs(state dynomad.AppState) (all []logs.Output) {
	ended := 0
	for _, r := range slices.Backward(state.Runs) {
		o := logs.Output{
			Alloc: r.AllocID, Namespace: cmp.Or(state.App.NomadNamespace, v.Namespace), Task: r.Type, DynoID: r.ID, Proc: r.Name(), Type: r.Type,
			Began: r.CreatedAt, Ended: r.Ended != nil,
		}
		if o.Ended {
			ended++
			o.Alloc, o.EndedAt = cmp.Or(r.Ended.AllocID, r.AllocID), r.Ended.At
		}
		a, known := v.sight(state.App, r).Alloc(r)
		started := known && a.Task.Started != 0
		if o.Alloc == "" || r.Attach || ended > endedRuns && o.Ended || !o.Ended && !started {
			continue
		}
		if known && a.Ended() {
			o.Ended, o.EndedAt = true, cmp.Or(endOf(a), o.EndedAt)
		}
		all = append(all, o)
	}
	return all
}
