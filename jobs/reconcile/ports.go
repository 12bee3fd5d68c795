package reconcile

import (
	"context"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Desired is the store, as the loop needs it.
type Desired interface {
	// AppIDs lists the apps to look at, deleted ones that are not cleaned up among them.
	AppIDs(ctx context.Context) ([]string, error)
	Wanted(ctx context.Context, appID string) (dynomad.Wanted, error)
	// Changes gives a number that moves with every write after which Wanted or AppRuns may give something else for an app. It
	// asks the database nothing.
	Changes(appID string) uint64
	// ConfigWritten is called before a config version's variable is put, ConfigRemoved after it was removed.
	ConfigWritten(ctx context.Context, appID, configID string) error
	ConfigRemoved(ctx context.Context, appID, configID string) error
	SaveApplied(ctx context.Context, appID string, a dynomad.AppliedState, audits ...dynomad.Audit) error
	// AppIDByName gives the app that has a full name now; NotFound if there is none.
	AppIDByName(ctx context.Context, name string) (string, error)
	// AppRemoved ends the record of a deleted app.
	AppRemoved(ctx context.Context, appID string) error
	// EndRollout records all that a rollout's end changes; it reports whether a release ended by it.
	EndRollout(ctx context.Context, appID string, end dynomad.RolloutEnd) (bool, error)
	// StopDone ends the wish to have a dyno replaced; RestartInstead makes it one for the dyno's whole type.
	StopDone(ctx context.Context, appID, dynoID string) error
	RestartInstead(ctx context.Context, appID string, stop dynomad.DynoStop, restartID string) error
	desiredRuns
}

// desiredRuns is what the store has of runs.
type desiredRuns interface {
	// AppsWithRuns lists the apps that have runs to see to, deleted ones among them.
	AppsWithRuns(ctx context.Context) ([]string, error)
	AppRuns(ctx context.Context, appID string) (dynomad.AppRuns, error)
	ConfigVars(ctx context.Context, configID string) (dynomad.ConfigVars, error)
	RunRegistered(ctx context.Context, appID, runID string) error
	// RunPlaced records the allocation that may run a run, unless one is, and gives the one that is.
	RunPlaced(ctx context.Context, appID, runID, allocID string) (string, error)
	StopRun(ctx context.Context, appID, runID, reason string, audit dynomad.Audit) error
	EndRun(ctx context.Context, appID, runID string, end dynomad.RunEnd, audits ...dynomad.Audit) error
	RunRemoved(ctx context.Context, appID, runID string) error
}

// Cluster is Nomad, as the loop needs it.
type Cluster interface {
	Job(ctx context.Context, namespace, id string) (jobs.JobInfo, bool, error)
	Register(ctx context.Context, job *api.Job, modifyIndex uint64) (jobs.Registered, error)
	// StopJob ends a job, and reports whether all its dynos have ended; Purge removes a job that has none left. A job whose
	// index is another is a Conflict.
	StopJob(ctx context.Context, namespace, id string, modifyIndex uint64) (ended bool, err error)
	Purge(ctx context.Context, namespace, id string, modifyIndex uint64) error
	PutVariable(ctx context.Context, namespace, path string, items map[string]string) error
	HasVariable(ctx context.Context, namespace, path string) (bool, error)
	VariablePaths(ctx context.Context, namespace, prefix string) ([]string, error)
	DeleteVariable(ctx context.Context, namespace, path string) error
	// StopAlloc has an allocation replaced.
	StopAlloc(ctx context.Context, namespace, id string) error
	// Rollout tells what became of the register that gave a job this ModifyIndex.
	Rollout(ctx context.Context, namespace, jobID string, applied dynomad.AppliedState) (jobs.Rollout, error)
	NewAllocs(ctx context.Context, namespace, deployment string) ([]jobs.NewAlloc, error)
	FailDeployment(ctx context.Context, namespace, deployment string) error
	// Rouse has Nomad look again at whether an allocation is healthy. That there is none is no error.
	Rouse(ctx context.Context, namespace, id string) error
	// Lower lowers counts of a registered job and changes nothing else of it.
	Lower(ctx context.Context, namespace, id string, counts map[string]int, modifyIndex uint64) (jobs.Registered, error)
	// Renew registers a job anew as it is, so that its rollout begins anew.
	Renew(ctx context.Context, namespace, id string, modifyIndex uint64) (jobs.Registered, error)
	Evaluated(ctx context.Context, namespace, evalID string) (bool, error)
	// Evaluate has the scheduler look at a job again; what runs as it should is left alone. That there is none is no error.
	Evaluate(ctx context.Context, namespace, id string) error
}

// Live is the view of the cluster in memory.
type Live interface {
	// Job tells of a job as the view has it; fresh is false while the view does not follow its namespace.
	Job(namespace, id string) (info jobs.JobInfo, ok, fresh bool)
	// Releases gives the versions of the releases that live dynos of a job run; fresh as above, and false too while the
	// release of one of them is not known.
	Releases(namespace, id string) (versions map[int]bool, fresh bool)
	// Variable tells whether there is a variable; fresh is false while that is not known.
	Variable(namespace, path string) (there, fresh bool)
	// Unread gives the variables of a job's app that none of the job's live dynos reads; fresh as for Releases.
	Unread(namespace, id string) (paths []string, fresh bool)
	// Explain tells how an app's dynos do, whether they were told to end meanwhile or not.
	Explain(state dynomad.AppState, now time.Time) jobs.Explained
	// Owed reports whether Nomad has left a dyno of an app unplaced without saying why.
	Owed(state dynomad.AppState, now time.Time) bool
	// Unfit reports whether Nomad says of a job that, and why, it can not place some of it.
	Unfit(namespace, id string) bool
	// Tried tells what Nomad has tried by itself, since a time, of a job whose rollout had failed.
	Tried(namespace, id string, since time.Time) jobs.Tried
	// Run tells of a run's job; fresh as above.
	Run(app dynomad.App, run dynomad.Run) (sight jobs.RunSight, fresh bool)
	// Mark gives a number that moves with every change of a job, its allocations or its variables after which the loop may have
	// something to do where there was nothing; fresh is false while any of these is not followed.
	Mark(namespace, id string) (mark uint64, fresh bool)
	// Peers tells of an allocation whether it is still up to being replaced, and how many others of its group are ready.
	Peers(namespace, id, allocID string) (here bool, ready int, fresh bool)
}

// Services is Consul, as the loop needs it.
type Services interface {
	// Foreign reports whether a service of this name has instances that are not this installation's.
	Foreign(ctx context.Context, name, installation string) (bool, error)
}
