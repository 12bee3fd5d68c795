package view

import (
	"slices"
	"strings"

	"github.com/dynomad/dynomad/jobs"
)

// Variables takes the paths of all variables of a namespace. The apps of jobs whose variables went are told.
func (v *View) Variables(nsName string, paths map[string]bool) {
	v.mu.Lock()
	old := v.variables[nsName]
	v.variables[nsName] = paths
	var changed []string
	if ns := v.namespaces[nsName]; ns != nil {
		for path := range old {
			if j := ns.jobs[jobOf(path)]; !paths[path] && j != nil {
				changed = append(changed, j.info.AppID)
			}
		}
	}
	v.mu.Unlock()
	v.tell(changed, nil)
}

// VariablesLost says that the variables of a namespace are not followed.
func (v *View) VariablesLost(nsName string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.variables, nsName)
}

// Variable implements reconcile.Live.
func (v *View) Variable(nsName, path string) (there, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	paths, fresh := v.variables[nsName]
	return paths[path], fresh
}

// Unread implements reconcile.Live.
func (v *View) Unread(nsName, id string) (paths []string, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all, listed := v.variables[nsName]
	ns := v.namespaces[nsName]
	if !listed || ns == nil || !ns.synced {
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
	for path := range all {
		if jobOf(path) == id && !read[path] {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths, true
}

// jobOf gives the job that a variable's path names.
func jobOf(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, jobs.ConfigPrefix), "/")
	return name
}
