package jobs

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// RunSight is what the cluster tells of a run's job.
type RunSight struct {
	Exists   bool // the job is registered
	Stopped  bool // … and was told to end
	Allocs   []Alloc
	Contents map[uint64]map[string]GroupContent // by job version, then group
	Blocked  map[string]*api.AllocationMetric   // why it cannot be placed, by group
}

// Alloc gives the allocation that runs a run: the one that may or, before that was settled, the newest of those that are up.
func (s RunSight) Alloc(run dynomad.Run) (Alloc, bool) {
	var best Alloc
	found := false
	for _, a := range s.Allocs {
		switch {
		case run.AllocID != "":
			if a.ID == run.AllocID {
				return a, true
			}
		case a.Ended() || a.Stopping():
		case !found || a.Created > best.Created:
			best, found = a, true
		}
	}
	return best, found
}

// Quiet reports whether none of the job's processes is up, nor can come up.
func (s RunSight) Quiet() bool {
	return !slices.ContainsFunc(s.Allocs, func(a Alloc) bool { return !a.Ended() })
}

// RunView is all that a run's dyno is made of.
type RunView struct {
	Settings ViewSettings
	App      dynomad.App
	Run      dynomad.Run
	Sight    RunSight
	Now      *Moment
}

// RunDyno gives a run as a dyno; false once it ended too long ago to be listed. What the store has recorded counts more than what
// Nomad tells.
func RunDyno(in RunView) (dynomad.Dyno, bool) {
	d := in.Run.Dyno(in.App)
	if in.Run.AllocID != "" {
		d.NomadURL = in.Settings.allocURL(in.Run.AllocID)
	}
	if in.Run.Ended != nil {
		return d, !in.Now.passed(in.Run.Ended.At.UnixNano(), dynomad.RunListed)
	}
	a, ok := in.Sight.Alloc(in.Run)
	switch {
	case !ok && in.Run.StopReason == "":
		d.AdditionalInfo = PlacementProblem(in.Sight.Blocked[in.Run.Type])
		return d, true
	case !ok:
		return d, true
	case a.Ended() || a.Task.Exit.At != 0: // Nomad tells of the process first; no other will start
		return in.ended(d, a), true
	}
	live := Dyno(in.dynoInput(a))
	d.AllocID, d.Node, d.NomadURL, d.UpdatedAt = live.AllocID, live.Node, live.NomadURL, live.UpdatedAt
	if in.Run.StopReason == "" {
		d.State, d.AdditionalInfo, d.Ready = live.State, live.AdditionalInfo, live.Ready
	}
	return d, true
}

// ended shows a run whose end Nomad tells of, if only of its process, and the store does not have yet.
func (in RunView) ended(d dynomad.Dyno, a Alloc) dynomad.Dyno {
	end := RunEnding(in, a)
	in.Run.Ended = &end
	d = in.Run.Dyno(in.App)
	d.AllocID, d.NomadURL = a.ID, in.Settings.allocURL(a.ID)
	return d
}

func (in RunView) dynoInput(a Alloc) DynoInput {
	a.Batch = true // events do not tell
	d := DynoInput{
		Settings: in.Settings, App: in.App, Type: dynomad.DynoType{Type: in.Run.Type, Size: in.Run.Size}, Alloc: a, Now: in.Now,
	}
	// A job that is stopped has another version, which runs nothing else.
	if c, ok := in.Sight.Contents[a.JobVersion][a.Group]; ok {
		d.Content = &c
	}
	return d
}

// RunEnding gives what became of a run whose allocation has ended.
func RunEnding(in RunView, a Alloc) dynomad.RunEnd {
	d := Dyno(in.dynoInput(a))
	exit := a.Task.Exit
	ran := a.Task.Started != 0 || exit.At != 0
	end := dynomad.RunEnd{
		At: at(cmp.Or(a.Task.Finished, a.Modified, in.Now.now)), State: dynomad.StateStopped, Info: d.AdditionalInfo, Node: a.NodeName, AllocID: a.ID,
	}
	if in.Run.Attach && exit.At != 0 { // it is its place that has ended; how its command does is recorded by who started it
		end.State, end.Info = placeEnding(exit, end.Info)
		exit = Exit{}
	}
	if exit.At != 0 {
		end.ExitCode = ptr(int(exit.Code))
	}
	switch {
	case exit.At != 0 && !exit.ByOrder && (!a.Stopping() || !exit.signalled()): // it ended by itself, whatever was on the way
	case in.Run.StopReason != "":
		end.Info = in.Run.StopReason
	case a.DesiredText == allocLost || a.Client == api.AllocClientStatusLost:
		end.Info = fmt.Sprintf("Its node %s is down. It is not run again.", a.NodeName)
	case a.Stopping():
		end.Info = "It was ended on Nomad, as when its node is drained. It is not run again."
	}
	if !ran && in.Run.StopReason == "" {
		end.State = dynomad.StateStartFailure
	}
	return end
}

// placeEnding words the end of the process that held the place of an attached run's command: sleep, under an init that says 127 of a program
// that is not there.
func placeEnding(exit Exit, info string) (dynomad.DynoState, string) {
	switch {
	case exit.Code == 127 && !exit.ByOrder:
		return dynomad.StateStartFailure, "It could not start: the image has no sleep, which attached dynos need."
	case exit.OOM:
		return dynomad.StateStopped, info
	}
	return dynomad.StateStopped, "Its container ended, and its command with it."
}

// RunLost gives what becomes of a run whose node has been out of sight for too long; false if that is not so. The process may run on
// there: it is told to end when the node is back.
func RunLost(in RunView, a Alloc) (dynomad.RunEnd, bool) {
	if a.Client != api.AllocClientStatusUnknown || !in.Now.passed(a.Modified, lostAfter) {
		return dynomad.RunEnd{}, false
	}
	return dynomad.RunEnd{
		At: time.Unix(0, in.Now.now).UTC(), State: dynomad.StateStopped, Node: a.NodeName, AllocID: a.ID,
		Info: fmt.Sprintf("Its node %s has been out of sight for %s, so that it is not known how it ended. It is not run again.", a.NodeName, lostAfter),
	}, true
}
