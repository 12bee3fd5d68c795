package jobs

import (
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// Want is what the store wants of one app's job.
type Want struct {
	App    dynomad.App
	Remove bool     // the store records that the app was deleted
	Job    *api.Job // nil: nothing to run
	Hash   string   // of Job
}

// Have is what is known of the job that has the app's name.
type Have struct {
	Exists      bool
	Ours        bool   // it bears this installation's owner mark
	AppID       string // in its mark
	AppDeleted  bool   // the store records that the app of that id was deleted
	Stopped     bool   // dead by order: Nomad keeps such a job for a while
	ModifyIndex uint64 // Nomad's JobModifyIndex
	Applied     dynomad.AppliedState
}

// Verb is what is to be done with a job.
type Verb int

// The verbs.
const (
	Nothing    Verb = iota
	Register        // register Want.Job if the job's index is still Action.Index
	Deregister      // end the job, then remove it and its history
	Foreign         // leave it alone and say Action.Text
)

// String names the verb, for logs.
func (v Verb) String() string {
	return [...]string{"nothing", "register", "deregister", "foreign"}[v]
}

// Action is what Decide decided.
type Action struct {
	Verb  Verb
	Index uint64 // for Register: the JobModifyIndex that the job must still have; 0 is a job that must not exist
	Text  string // why, in a sentence; for Foreign the problem to show
	Drift bool   // somebody else changed what was registered
}

// Decide says what one app's job needs. The first that applies:
//
//	job in Nomad             wanted               action
//	absent                   a job                register at index 0
//	absent                   nothing, removal     nothing
//	not ours                 a job                foreign
//	not ours                 nothing, removal     nothing
//	of another app           removal              nothing: the name has a new owner
//	of a deleted app         a job, nothing       deregister; the next round registers
//	of an unknown app        a job                foreign
//	of an unknown app        nothing              nothing
//	of this app              removal              deregister
//	of this app, never ours  nothing              foreign: the store may be older than the job
//	of this app              nothing              deregister
//	of this app              a job                register at its index if it is stopped, its index is another than the
//	                                              last that we wrote or the rendering differs; else nothing
func Decide(want Want, have Have) Action {
	if want.Remove {
		want.Job = nil
	}
	switch {
	case !have.Exists && want.Job != nil && have.Applied.IsZero():
		return Action{Verb: Register, Text: "There is no job yet."}
	case !have.Exists && want.Job != nil:
		return Action{Verb: Register, Text: "The job was purged by somebody else.", Drift: true}
	case !have.Exists:
		return Action{}
	case !have.Ours:
		return foreign(want, "A job named %s exists that is not this installation's.")
	case have.AppID != want.App.ID:
		return decideOther(want, have)
	case want.Remove:
		return Action{Verb: Deregister, Text: "The app was deleted."}
	case want.Job == nil:
		return decideNothingToRun(want, have)
	}
	return decideDrift(want, have)
}

// foreign leaves a job alone, and says so if its name is wanted.
func foreign(want Want, problem string) Action {
	if want.Job == nil {
		return Action{}
	}
	return Action{Verb: Foreign, Text: fmt.Sprintf(problem, JobID(want.App))}
}

// decideOther decides on a job that another app of the same name left behind.
func decideOther(want Want, have Have) Action {
	switch {
	case want.Remove:
		return Action{}
	case have.AppDeleted:
		return Action{Verb: Deregister, Text: "It is of a deleted app of the same name."}
	}
	return foreign(want, "A job named %s exists that belongs to an app which is not in the records.")
}

// decideNothingToRun decides on an app's job when the app has no types or no release. A job that this store never
// registered stays: a store from an old backup must end nothing.
func decideNothingToRun(want Want, have Have) Action {
	if have.Applied.SpecHash == "" && have.Applied.ModifyIndex == 0 {
		return Action{Verb: Foreign, Text: fmt.Sprintf("The job %s runs, but the records have nothing to run for its app.", JobID(want.App))}
	}
	return Action{Verb: Deregister, Text: "The app has nothing to run."}
}

// decideDrift decides on an app's job that is to run.
func decideDrift(want Want, have Have) Action {
	register := Action{Verb: Register, Index: have.ModifyIndex}
	switch {
	case have.Stopped && have.Applied.SpecHash == "":
		register.Text = "The job was stopped when there was nothing to run."
	case have.Stopped:
		register.Text, register.Drift = "The job was stopped by somebody else.", true
	case have.Applied.FailedHash == want.Hash:
		return Action{} // a rendering whose rollout failed is never registered again as it is
	case have.Applied.SpecHash != want.Hash:
		register.Text = "What is wanted has changed."
	case have.Applied.ModifyIndex != have.ModifyIndex:
		register.Text, register.Drift = "The job was changed by somebody else.", true
	default:
		return Action{}
	}
	return register
}
