package jobs_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// TestSpec_sandbox holds every golden job to what keeps a dyno away from its node: see docs/isolation.md.
func TestSpec_sandbox(t *testing.T) {
	t.Parallel()
	rendered := 0
	for _, g := range append(Goldens(t), RunGoldens(t)...) {
		var job api.Job
		if err := json.Unmarshal(g.Job, &job); err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
		for _, tg := range job.TaskGroups {
			for _, task := range tg.Tasks {
				rendered++
				for _, wrong := range unsafe(task) {
					t.Errorf("%s, task %s: %s", g.Name, task.Name, wrong)
				}
			}
		}
	}
	if rendered < 20 {
		t.Errorf("only %d tasks were looked at", rendered)
	}
}

// unsafe lists what a task has that it must not have, and lacks what it must have.
func unsafe(task *api.Task) []string {
	var wrong []string
	is := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	is(task.Identity == nil && len(task.Identities) == 0, "it has an identity")
	is(task.Vault == nil && task.Consul == nil, "it has tokens")
	is(len(task.VolumeMounts) == 0 && len(task.Artifacts) == 0 && task.User == "", "it has volumes, artifacts or a user")
	allowed := []string{"cap_add", "cap_drop", "entrypoint", "image", "init", "mount", "pids_limit", "ports", "security_opt"}
	for key := range task.Config {
		is(slices.Contains(allowed, key), "the docker driver is told %s", key)
	}
	config := fmt.Sprint(task.Config)
	for _, want := range []string{"cap_drop:[all]", "security_opt:[no-new-privileges]", "pids_limit:2048", "target:/alloc/logs", "/api.sock"} {
		is(strings.Contains(config, want), "the docker driver is not told %s: %s", want, config)
	}
	for _, mount := range mounts(task) {
		source, _ := mount["source"].(string)
		is(source == "" || strings.HasPrefix(source, "private/"), "the dyno can replace what is mounted at its start: %v", mount)
		is(mount["readonly"] == true, "it can write to %v", mount)
	}
	for _, template := range task.Templates {
		is(strings.HasPrefix(*template.DestPath, "private/"), "the dyno can replace what Nomad writes: %s", *template.DestPath)
		if template.Envvars != nil && *template.Envvars {
			is(strings.HasSuffix(*template.EmbeddedTmpl, "\nNOMAD_ALLOC_DIR=/alloc\nNOMAD_TASK_DIR=/local\nNOMAD_SECRETS_DIR=/secrets\n"), "config vars can move the folders: %s", *template.EmbeddedTmpl)
		}
	}
	return wrong
}

// mounts are the docker driver's, as JSON gave them.
func mounts(task *api.Task) []map[string]any {
	list, _ := task.Config["mount"].([]any)
	out := make([]map[string]any, len(list))
	for i, m := range list {
		out[i], _ = m.(map[string]any)
	}
	return out
}
