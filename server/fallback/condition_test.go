package fallback

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestConditionOf(t *testing.T) {
	t.Parallel()
	type change func(s *dynomad.AppState)
	release := func(version int, status string) change {
		return func(s *dynomad.AppState) { s.Wanted = &dynomad.Release{Version: version, Status: status} }
	}
	up := release(3, dynomad.ReleaseSucceeded)
	old := dyno(dynomad.StateWaiting)
	old.CreatedAt = now.Add(-time.Hour)
	ready := dyno(dynomad.StateRunning)
	ready.Ready, ready.CreatedAt = true, old.CreatedAt
	worker := dyno(dynomad.StateRunning)
	worker.Type, worker.Ready = "worker", true
	for name, c := range map[string]struct {
		change change
		dynos  []dynomad.Dyno
		want   condition
	}{
		"never deployed":                 {func(s *dynomad.AppState) { s.Wanted = nil }, nil, unavailable},
		"maintenance, never deployed":    {func(s *dynomad.AppState) { s.Wanted, s.App.Maintenance = nil, true }, nil, maintenance},
		"maintenance":                    {func(s *dynomad.AppState) { s.App.Maintenance = true }, []dynomad.Dyno{ready}, maintenance},
		"web at 0":                       {func(s *dynomad.AppState) { s.Types[0].Quantity = 0 }, nil, maintenance},
		"only a worker":                  {func(s *dynomad.AppState) { s.Types[0].Type = "worker" }, []dynomad.Dyno{worker}, unavailable},
		"first release":                  {release(1, dynomad.ReleasePending), nil, starting},
		"first release crashes":          {release(1, dynomad.ReleasePending), []dynomad.Dyno{dyno(dynomad.StateAppCrashed)}, starting},
		"first release failed":           {release(1, dynomad.ReleaseFailed), []dynomad.Dyno{dyno(dynomad.StateAppCrashed)}, unavailable},
		"deployed again after a failure": {release(2, dynomad.ReleasePending), nil, starting},
		"new release, old dynos crashed": {release(2, dynomad.ReleasePending), []dynomad.Dyno{dyno(dynomad.StateAppCrashed)}, unavailable},
		"scaled up":                      {up, []dynomad.Dyno{dyno(dynomad.StateWaiting)}, starting},
		"pulling":                        {up, []dynomad.Dyno{dyno(dynomad.StatePending)}, starting},
		"not checked yet":                {up, []dynomad.Dyno{dyno(dynomad.StateRunning)}, starting},
		"waits for long":                 {up, []dynomad.Dyno{old}, unavailable},
		"ready, routers do not know yet": {up, []dynomad.Dyno{ready}, starting},
		"fails its check":                {up, []dynomad.Dyno{dyno(dynomad.StateProbeFailure)}, unavailable},
		"crashed":                        {up, []dynomad.Dyno{dyno(dynomad.StateAppCrashed), dyno(dynomad.StateStartFailure)}, unavailable},
		"one of two on its way":          {up, []dynomad.Dyno{dyno(dynomad.StateAppCrashed), dyno(dynomad.StatePending)}, starting},
		"stopping":                       {up, []dynomad.Dyno{dyno(dynomad.StateStopping), dyno(dynomad.StateStopped)}, unavailable},
		"only the worker runs":           {up, []dynomad.Dyno{worker}, unavailable},
		"none":                           {up, nil, unavailable},
	} {
		s := dynomad.AppState{Types: []dynomad.DynoType{{Type: dynomad.Web, Quantity: 1}}}
		up(&s)
		c.change(&s)
		if got := conditionOf(s, c.dynos, now.Add(-time.Minute)); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
