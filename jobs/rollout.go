package jobs

import "github.com/dynomad/dynomad"

// Registered is what Nomad answered to a register.
type Registered struct {
	ModifyIndex uint64 // JobModifyIndex: the one before if nothing differed
	EvalID      string // the evaluation that places what changed
}

// RolloutState is how far a register's rollout has come.
type RolloutState int

// The states of a rollout.
const (
	RolloutRunning RolloutState = iota
	RolloutSucceeded
	RolloutFailed
)

// Rollout is what became of a register.
type Rollout struct {
	State      RolloutState
	Reason     string // why it failed, in Nomad's words
	Deployment string // id; "" if it needs none
	Unhealthy  bool   // one of its new allocations failed to get healthy
	Withheld   bool   // it wants canaries of some group and has none, without which Nomad places nothing of that group
}

// NewAlloc is an allocation that a deployment made.
type NewAlloc struct {
	ID     string
	Group  string
	Health DeploymentHealth
	Moved  bool // it was told to end for a reason that is not the release's: see Alloc.Moved
}

// Overlooked gives the ids of new allocations of which a deployment says nothing though their dynos run, and are ready if they are web.
// That is usual for the minimum healthy time and a little more.
func Overlooked(allocs []NewAlloc, seen Explained) []string {
	var ids []string
	for _, a := range allocs {
		d := seen.Dynos[a.ID]
		if a.Health == HealthUndecided && !a.Moved && d.State == dynomad.StateRunning && (d.Ready || a.Group != dynomad.Web) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
