package jobs

import (
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// How Nomad treats a dyno that ended by itself: started again twice on its node, then placed anew, ever more slowly.
const (
	restartAttempts  = 2
	restartDelay     = 5 * time.Second
	restartInterval  = 30 * time.Minute
	rescheduleDelay  = 10 * time.Second
	rescheduleAtMost = 5 * time.Minute
)

// lostAfter is how long a node may be away before its dynos are given up. Until then they can come back as they were.
const lostAfter = 5 * time.Minute

// progressMargin is what progress_deadline has over healthy_deadline: Nomad wants it longer.
const progressMargin = time.Minute

// group renders one dyno type.
func group(in Input, g Group) (*api.TaskGroup, error) {
	task, err := task(in, g)
	if err != nil {
		return nil, err
	}
	tg := &api.TaskGroup{
		Name:             ptr(g.Type.Type),
		Count:            ptr(g.Count),
		Meta:             groupMeta(g),
		Update:           update(in, g),
		Migrate:          migrate(in, g),
		RestartPolicy:    restart(),
		ReschedulePolicy: reschedule(),
		Disconnect:       disconnect(),
		EphemeralDisk:    disk(),
		Tasks:            []*api.Task{task},
	}
	if g.Type.Type != dynomad.Web {
		return tg, nil
	}
	tg.Networks = network(g)
	tg.ShutdownDelay = ptr(in.Drain)
	tg.Services, err = services(in, g)
	return tg, err
}

// groupMeta is what replaces the group's dynos when it changes. A quantity is not in it.
func groupMeta(g Group) map[string]string {
	meta := map[string]string{
		metaType:    g.Type.Type,
		metaRelease: strconv.Itoa(g.ReleaseVersion),
	}
	if g.RestartID != "" {
		meta[metaRestart] = g.RestartID
	}
	if g.Retry > 0 {
		meta[metaRetry] = strconv.Itoa(g.Retry)
	}
	if g.Type.Type == dynomad.Web {
		meta[metaCheck] = checkHash(g.Type)
	}
	return meta
}

// update makes a rollout start as many new dynos as there are to be, and end the old ones only when all of those are
// healthy. canary must not be 0 with auto_promote, so a count of 0 has 1.
func update(in Input, g Group) *api.UpdateStrategy {
	all := max(g.Count, 1)
	return &api.UpdateStrategy{
		Canary:           ptr(all),
		MaxParallel:      ptr(all),
		AutoPromote:      ptr(true),
		AutoRevert:       ptr(true),
		HealthCheck:      ptr(healthCheck(g)),
		MinHealthyTime:   ptr(in.MinHealthyTime),
		HealthyDeadline:  ptr(in.DeployTimeout),
		ProgressDeadline: ptr(in.DeployTimeout + progressMargin),
	}
}

// migrate makes a node that is drained hand over one dyno of a type at a time.
func migrate(in Input, g Group) *api.MigrateStrategy {
	return &api.MigrateStrategy{
		MaxParallel:     ptr(1),
		HealthCheck:     ptr(healthCheck(g)),
		MinHealthyTime:  ptr(in.MinHealthyTime),
		HealthyDeadline: ptr(in.DeployTimeout),
	}
}

func healthCheck(g Group) string {
	if g.Type.Type == dynomad.Web {
		return "checks"
	}
	return "task_states"
}

func restart() *api.RestartPolicy {
	return &api.RestartPolicy{
		Attempts: ptr(restartAttempts),
		Delay:    ptr(restartDelay),
		Interval: ptr(restartInterval),
		Mode:     ptr(api.RestartPolicyModeFail),
	}
}

func reschedule() *api.ReschedulePolicy {
	return &api.ReschedulePolicy{
		Attempts:      ptr(0),
		Interval:      ptr(time.Duration(0)),
		Unlimited:     ptr(true),
		Delay:         ptr(rescheduleDelay),
		DelayFunction: ptr("exponential"),
		MaxDelay:      ptr(rescheduleAtMost),
	}
}

// disconnect says what becomes of the dynos of a node that Nomad has lost sight of. They are replaced at once, so that
// capacity returns. If the node is back within lostAfter, the one of the two that has run longest stays: it is known to
// work, while the replacement may not have passed a check yet (best_score looks only at placement, keep_replacement would
// end a serving dyno for one that is still pulling its image). Without this block every dyno of a node that missed a few
// heartbeats would be ended when it returns.
func disconnect() *api.DisconnectStrategy {
	return &api.DisconnectStrategy{
		LostAfter: ptr(lostAfter),
		Replace:   ptr(true),
		Reconcile: ptr(api.ReconcileOption("longest_running")),
	}
}
