package nomadtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Rollout tells what became of a register.
func (f *Fake) Rollout(ctx context.Context, namespace, id string, applied dynomad.AppliedState) (rollout jobs.Rollout, err error) {
	key := fakeKey(namespace, id)
	err = f.call(ctx, "Rollout", key, func() error {
		j := f.jobs[key]
		switch {
		case j == nil:
		case j.deployments[applied.ModifyIndex] != nil:
			rollout = *j.deployments[applied.ModifyIndex]
			rollout.Deployment = deploymentID(key, applied.ModifyIndex)
			rollout.Unhealthy = rollout.State == jobs.RolloutRunning && len(f.sick(key)) > 0
		case *j.spec.JobModifyIndex == applied.ModifyIndex:
			rollout.State = jobs.RolloutSucceeded
		}
		return nil
	})
	return rollout, err
}

func deploymentID(key string, index uint64) string {
	return fmt.Sprintf("%s@%d", strings.ReplaceAll(key, "/", "."), index)
}

// sick lists the allocations of a job that Sicken made unhealthy. f.mu is held.
func (f *Fake) sick(key string) []jobs.NewAlloc {
	var list []jobs.NewAlloc
	f.live(key, func(a *fakeAlloc) {
		if a.Health == jobs.Unhealthy {
			list = append(list, jobs.NewAlloc{ID: a.ID, Group: a.Group, Health: a.Health})
		}
	})
	return list
}

// Sicken makes the newest version's allocations of a group of a job of the default namespace unhealthy: each has ended with
// this exit code.
func (f *Fake) Sicken(id, group string, exitCode int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fakeKey("", id)
	j := f.jobs[key]
	f.live(key, func(a *fakeAlloc) {
		if a.Group == group && a.JobVersion == *j.spec.Version && a.number == j.versions[*j.spec.Version].Groups[group].Number {
			a.Health, a.Task.Exit = jobs.Unhealthy, jobs.Exit{At: 1, Code: exitCode}
			a.Task.State = "pending"
			f.tellAlloc(a)
		}
	})
}

// Overlook has the Fake say nothing of the health of a job's live allocations of a group, which are as new, until they are roused.
func (f *Fake) Overlook(id, group string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live(fakeKey("", id), func(a *fakeAlloc) { a.overlooked = a.Group == group })
}

// Rouse has the Fake look again at an allocation that it overlooked: the job's rollout succeeds when there is no other one.
func (f *Fake) Rouse(ctx context.Context, namespace, id string) error {
	return f.call(ctx, "Rouse", fakeKey(namespace, id), func() error {
		a := f.feed.allocs[id]
		if a == nil || !a.overlooked {
			return nil
		}
		a.overlooked = false
		key := fakeKey(a.Namespace, a.JobID)
		if len(f.unsaid(key)) == 0 {
			f.finish(f.jobs[key], jobs.Rollout{State: jobs.RolloutSucceeded})
		}
		return nil
	})
}

// unsaid lists the allocations of a job that are overlooked. f.mu is held.
func (f *Fake) unsaid(key string) []jobs.NewAlloc {
	var list []jobs.NewAlloc
	f.live(key, func(a *fakeAlloc) {
		if a.overlooked {
			list = append(list, jobs.NewAlloc{ID: a.ID, Group: a.Group})
		}
	})
	return list
}

// NewAllocs lists what a deployment made; those that are healthy are not told.
func (f *Fake) NewAllocs(ctx context.Context, namespace, deployment string) (list []jobs.NewAlloc, err error) {
	err = f.call(ctx, "NewAllocs", fakeKey(namespace, deployment), func() error {
		f.deploymentOf(deployment, func(key string, _ *fakeJob, _ *jobs.Rollout) { list = append(f.sick(key), f.unsaid(key)...) })
		return nil
	})
	return list, err
}

// FailDeployment ends a deployment that runs.
func (f *Fake) FailDeployment(ctx context.Context, namespace, deployment string) error {
	return f.call(ctx, "FailDeployment", fakeKey(namespace, deployment), func() error {
		f.deploymentOf(deployment, func(_ string, j *fakeJob, r *jobs.Rollout) {
			if r.State == jobs.RolloutRunning {
				f.finish(j, jobs.Rollout{State: jobs.RolloutFailed, Reason: "Deployment marked as failed"})
			}
		})
		return nil
	})
}

func (f *Fake) deploymentOf(id string, visit func(key string, j *fakeJob, r *jobs.Rollout)) {
	for key, j := range f.jobs {
		for index, r := range j.deployments {
			if deploymentID(key, index) == id {
				visit(key, j, r)
				return
			}
		}
	}
}

// Lower registers a job with lower counts.
func (f *Fake) Lower(ctx context.Context, namespace, id string, counts map[string]int, modifyIndex uint64) (answer jobs.Registered, err error) {
	key := fakeKey(namespace, id)
	err = f.call(ctx, "Lower", key, func() error {
		j := f.jobs[key]
		if j == nil || *j.spec.JobModifyIndex != modifyIndex {
			return dynomad.Errorf(dynomad.Conflict, "The job has another index than %d.", modifyIndex)
		}
		job := cloneJob(j.spec)
		for _, group := range job.TaskGroups {
			if n, ok := counts[*group.Name]; ok {
				group.Count = &n
			}
		}
		answer.ModifyIndex, answer.EvalID = f.put(key, job), fmt.Sprintf("eval-%d", f.next())
		return nil
	})
	return answer, err
}

// Evaluated reports true: what is registered is placed at once.
func (f *Fake) Evaluated(ctx context.Context, namespace, evalID string) (done bool, err error) {
	err = f.call(ctx, "Evaluated", fakeKey(namespace, evalID), func() error { done = true; return nil })
	return done, err
}

// Distract has the scheduler put off the dynos of what is registered next, as when its plans are refused too often, until it is told to
// evaluate the job.
func (f *Fake) Distract() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.distracts = true
}

// Collide has the deployment of what is registered next want canaries that are never placed, as when the ports of a node collide at that
// moment: nothing is, until the job is registered again.
func (f *Fake) Collide() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.collides = true
}

// Renew registers a job as it is, with another stagger.
func (f *Fake) Renew(ctx context.Context, namespace, id string, modifyIndex uint64) (answer jobs.Registered, err error) {
	key := fakeKey(namespace, id)
	err = f.call(ctx, "Renew", key, func() error {
		j := f.jobs[key]
		if j == nil || *j.spec.JobModifyIndex != modifyIndex {
			return dynomad.Errorf(dynomad.Conflict, "The job has another index than %d.", modifyIndex)
		}
		job := cloneJob(j.spec)
		for _, group := range job.TaskGroups {
			if group.Update != nil {
				group.Update.Stagger = new(time.Duration(f.next()))
			}
		}
		answer.ModifyIndex, answer.EvalID = f.put(key, job), fmt.Sprintf("eval-%d", f.next())
		return nil
	})
	return answer, err
}

// Evaluate has the scheduler look at a job again: it places what is lacking.
func (f *Fake) Evaluate(ctx context.Context, namespace, id string) error {
	key := fakeKey(namespace, id)
	return f.call(ctx, "Evaluate", key, func() error {
		j := f.jobs[key]
		switch {
		case j == nil || *j.spec.Stop:
			return nil
		case isBatch(j.spec):
			f.placeBatch(j)
			return nil
		}
		d := j.deployments[*j.spec.JobModifyIndex]
		if d != nil && d.Withheld {
			return nil
		}
		f.place(j)
		if d != nil && d.State == jobs.RolloutRunning {
			f.begin(j)
		}
		return nil
	})
}

// Counts gives the counts of a job's groups as registered.
func (f *Fake) Counts(id string) map[string]int {
	counts := map[string]int{}
	if job := f.Spec(id); job != nil {
		for _, group := range job.TaskGroups {
			counts[*group.Name] = *group.Count
		}
	}
	return counts
}
