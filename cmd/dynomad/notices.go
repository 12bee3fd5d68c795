package main

import (
	"fmt"
	"maps"
	"slices"
)

// notices are what the operator should know: what the cluster's set-up lacks, and jobs that carry an owner mark but are not
// among the apps of this daemon. Those are left alone.
func (a *app) notices() []string {
	out := append(slices.Clone(a.monitor.facts().Warnings), a.unknown.notice()...)
	others := map[string]int{}
	for _, job := range a.view.Marked() {
		if job.Installation != a.installation {
			others[job.Installation]++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		out = append(out, fmt.Sprintf("%s of another installation (%s) on this cluster: left alone.", counted(others[id], "job"), id))
	}
	if r := a.registrar.Load(); r != nil && r.Problem() != "" {
		out = append(out, "Routers are not told of the fallback pages. "+r.Problem())
	}
	return out
}
