package view

import (
	"maps"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Run implements reconcile.Live.
func (v *View) Run(app dynomad.App, run dynomad.Run) (sight jobs.RunSight, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaceOf(app)
	if ns == nil || !ns.synced {
		return jobs.RunSight{}, false
	}
	s := v.sight(app, run)
	s.Contents = maps.Clone(s.Contents) // the view goes on changing its own
	return s, true
}

// Follows reports whether what is known of an app's jobs is what Nomad has.
func (v *View) Follows(app dynomad.App) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaceOf(app)
	return ns != nil && ns.synced
}

// sight gives what is known of a run's job; of a job that is another's, nothing. v.mu is held.
func (v *View) sight(app dynomad.App, run dynomad.Run) jobs.RunSight {
	var s jobs.RunSight
	ns := v.namespaceOf(app)
	if ns == nil {
		return s
	}
	j := ns.jobs[jobs.RunJobID(app, run)]
	if j == nil || j.info.RunID != run.ID {
		return s
	}
	s.Exists, s.Stopped, s.Contents, s.Blocked = j.present, j.info.Stopped, j.contents, j.blocked.Failed
	for _, a := range j.allocs {
		s.Allocs = append(s.Allocs, a)
	}
	return s
}
