package nomadtest

import (
	"fmt"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

func TestFake_contract(t *testing.T) {
	t.Parallel()
	Contract(t, func(*testing.T) ContractCluster {
		fake, away := NewFake(), NewFake()
		away.Away(true)
		fake.Outcome(func(job *api.Job) jobs.Rollout {
			if args := fmt.Sprint(job.TaskGroups[0].Tasks[0].Config["args"]); args == "[-c exit 3]" {
				return jobs.Rollout{State: jobs.RolloutFailed, Reason: "It ended."}
			}
			return jobs.Rollout{State: jobs.RolloutSucceeded}
		})
		return ContractCluster{
			Cluster: fake, Away: away, Image: "image", Edit: fake.Edit, Stop: fake.Stop, Spec: fake.Spec,
			Allocs: fake.allAllocs, Exit: fake.Exit,
			Variable: func(path string) map[string]string { return fake.Variables()[path] },
			Follow:   func(_ string, sink Sink) { fake.Follow(sink, api.DefaultNamespace) },
		}
	})
}
