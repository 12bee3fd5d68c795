package jobs

import (
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// stateRule says when a dyno is in a state and what there is to say about it.
type stateRule struct {
	state dynomad.DynoState
	holds func(DynoInput) bool
	info  func(DynoInput) string
}

// stateRules are the states in the order in which the first match wins.
func stateRules() []stateRule {
	return []stateRule{
		{dynomad.StateStopped, DynoInput.stopped, DynoInput.stoppedInfo},
		{dynomad.StateStopping, DynoInput.stopping, DynoInput.stoppingInfo},
		{dynomad.StateStartFailure, DynoInput.startFailed, DynoInput.startFailureInfo},
		{dynomad.StateAppCrashed, DynoInput.crashed, DynoInput.crashInfo},
		{dynomad.StateWaiting, DynoInput.waiting, DynoInput.waitingInfo},
		{dynomad.StatePending, DynoInput.pending, DynoInput.pendingInfo},
		{dynomad.StateProbeFailure, DynoInput.probeFailed, DynoInput.probeInfo},
	}
}

func (in DynoInput) state() (state dynomad.DynoState, info string) {
	for _, rule := range stateRules() {
		if rule.holds(in) {
			return rule.state, rule.info(in)
		}
	}
	return dynomad.StateRunning, in.runningInfo()
}

func (in DynoInput) stopped() bool { return in.Alloc.stopped() }

// stopped reports whether the allocation was told to end, or was to run once, and has ended. One that is lost with its node
// has ended as far as anybody knows. A one-off that never ran has not been stopped: it failed to start.
func (a Alloc) stopped() bool {
	switch {
	case !a.Ended():
		return false
	case a.Batch:
		return a.Stopping() || a.Client == api.AllocClientStatusComplete || a.Task.Exit.At != 0
	}
	return a.Stopping() || a.Client == api.AllocClientStatusLost
}

func (in DynoInput) stopping() bool { return in.Alloc.Stopping() }

// startFailed reports whether the process could not be started, or the allocation failed before there was one. Where init
// cannot execute the command, Nomad sees a process that ends, again and again.
func (in DynoInput) startFailed() bool {
	t := in.Alloc.Task
	if t.State != taskRunning && t.Failure != "" {
		return true
	}
	if in.crashed() && in.notExecuted() {
		return true
	}
	return in.Alloc.Client == api.AllocClientStatusFailed && t.Started == 0 && t.Exit.At == 0
}

// notExecuted reports whether the dyno's command cannot be executed. One that a deployment found healthy could be.
func (in DynoInput) notExecuted() bool {
	return in.Alloc.Health != Healthy && in.Alloc.Task.notExecuted(in.Settings.MinHealthyTime)
}

// crashed reports whether the process ended by itself: not long ago, or for good.
func (in DynoInput) crashed() bool {
	return in.Alloc.Ended() || in.Alloc.Task.crashed(in.Now, in.Settings.MinHealthyTime)
}

// waiting reports whether the dyno is held: by a node out of sight, or by config vars that Nomad does not have yet.
func (in DynoInput) waiting() bool {
	return in.disconnected() || (in.Alloc.Task.State != taskRunning && in.Alloc.Task.Missing)
}

func (in DynoInput) disconnected() bool { return in.Alloc.Client == api.AllocClientStatusUnknown }

func (in DynoInput) pending() bool {
	return in.Alloc.Client != api.AllocClientStatusRunning || in.Alloc.Task.State == taskPending
}

// probeFailed reports whether the check fails and either did not always, or had time enough.
func (in DynoInput) probeFailed() bool {
	if !in.checked() || !in.Health.Known || in.Health.Passing {
		return false
	}
	if in.Health.EverPassed || in.Alloc.Health == Healthy {
		return true
	}
	return in.Alloc.Task.Started != 0 && in.Now.passed(in.Alloc.Task.Started, in.Settings.StartGrace)
}
