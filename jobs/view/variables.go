package view

import (
	"slices"
	"strings"

	"github.com/dynomad/dynomad/jobs"
)

// variables are the paths of a namespace's variables.
type variables struct {
	followed bool
	ofJob    map[string][]string // sorted, by the job that the paths name
	version  map[string]uint64   // View.changes when a job's last changed
}

// Variables takes the paths of all variables of a namespace. The apps of jobs whose variables went are told.
func (v *View) Variables(nsName string, paths map[string]bool) {
	ofJob := map[string][]string{}
	for path := range paths {
		ofJob[jobOf(path)] = append(ofJob[jobOf(path)], path)
	}
	for _, list := range ofJob {
		slices.Sort(list)
	}
	v.mu.Lock()
	old := v.variables[nsName]
	if old == nil {
		old = &variables{version: map[string]uint64{}}
	}
	now := &variables{followed: true, ofJob: ofJob, version: old.version}
	v.variables[nsName] = now
	changed := v.moveVariables(nsName, old, now)
	v.mu.Unlock()
	v.tell(changed, nil)
}

// moveVariables gives those jobs a new version whose variables are others than before, and gives the apps of those of which one
// went. v.mu is held.
func (v *View) moveVariables(nsName string, old, now *variables) (lost []string) {
	ns := v.namespaces[nsName]
	for id, before := range old.ofJob {
		after := now.ofJob[id]
		if slices.Equal(before, after) {
			continue
		}
		v.changes++
		now.version[id] = v.changes
		gone := func(path string) bool { _, there := slices.BinarySearch(after, path); return !there }
		if ns != nil && ns.jobs[id] != nil && slices.ContainsFunc(before, gone) {
			lost = append(lost, ns.jobs[id].info.AppID)
		}
	}
	for id := range now.ofJob {
		if len(old.ofJob[id]) == 0 {
			v.changes++
			now.version[id] = v.changes
		}
	}
	return lost
}

// VariablesLost says that the variables of a namespace are not followed.
func (v *View) VariablesLost(nsName string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if vars := v.variables[nsName]; vars != nil {
		vars.followed = false
	}
}

// Variable implements reconcile.Live.
func (v *View) Variable(nsName, path string) (there, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	vars := v.variables[nsName]
	if vars == nil || !vars.followed {
		return false, false
	}
	_, there = slices.BinarySearch(vars.ofJob[jobOf(path)], path)
	return there, true
}

// Unread implements reconcile.Live.
func (v *View) Unread(nsName, id string) (paths []string, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	vars, ns := v.variables[nsName], v.namespaces[nsName]
	if vars == nil || !vars.followed || ns == nil || !ns.synced {
		return nil, false
	}
	read := map[string]bool{}
	if j := ns.jobs[id]; j != nil {
		for _, a := range j.allocs {
			c, ok := j.content(a)
			if !ok && !a.Ended() {
				return nil, false
			}
			read[c.ConfigPath] = read[c.ConfigPath] || !a.Ended()
		}
	}
	for _, path := range vars.ofJob[id] {
		if !read[path] {
			paths = append(paths, path)
		}
	}
	return paths, true
}

// Mark implements reconcile.Live.
func (v *View) Mark(nsName, id string) (mark uint64, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[nsName]
	if ns == nil {
		return 0, false
	}
	if j := ns.jobs[id]; j != nil {
		mark = j.marked
	}
	vars := v.variables[nsName]
	if vars == nil {
		return mark, false
	}
	return max(mark, vars.version[id]), vars.followed && ns.synced
}

// jobOf gives the job that a variable's path names.
func jobOf(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, jobs.ConfigPrefix), "/")
	return name
}
