package view

import (
	"cmp"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
)

// Outputs tells where the output of an app's dynos is found: of those whose process was started once, in no order and without
// the dynos' names. They are whole if none that there is can be missing.
func (v *View) Outputs(app dynomad.App) (all []logs.Output, whole bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[cmp.Or(app.NomadNamespace, v.Namespace)]
	whole = ns != nil && ns.synced
	j := v.jobOf(app)
	if j == nil || j.info.AppID != app.ID {
		return nil, whole
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
			Began: time.Unix(0, began), Ended: a.Ended(),
		})
	}
	return all, whole
}
