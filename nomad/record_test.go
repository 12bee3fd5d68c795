//go:build integration

package nomad_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

var record = flag.Bool("record", false, "record testdata anew")

// TestCluster_record records what the tests of the watcher replay: the lists of a namespace with a job that runs and one that
// is blocked, and the events of a new version, a stop and a purge.
func TestCluster_record(t *testing.T) {
	if !*record {
		t.Skip("without -record")
	}
	r := &recorder{t, "http://" + shared.Cluster(t).NomadAddr()}
	jobs := shared.Cluster(t).NomadClient().Jobs()
	image := shared.Cluster(t).Image(t, "busybox")
	register := func(job *api.Job) {
		if _, _, err := jobs.Register(job, nil); err != nil {
			t.Fatal(err)
		}
	}
	big := recordedJob("big-default", "a2", "1", image)
	big.TaskGroups[0].Tasks[0].Resources.MemoryMB = new(1 << 24)
	register(big)
	register(recordedJob("fix-default", "a1", "1", image))
	r.await("fix-default", 1)
	for path, file := range map[string]string{
		"/v1/jobs?meta=true": "jobs", "/v1/evaluations?filter=" + "Status%20==%20%22blocked%22": "evaluations",
		"/v1/job/fix-default/versions": "versions",
	} {
		r.list(path, file)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines := r.stream(ctx, r.list("/v1/allocations", "allocations"))
	register(recordedJob("fix-default", "a1", "2", image))
	r.await("fix-default", 2)
	r.list("/v1/job/fix-default/allocations?all=true", "job-allocations")
	if _, _, err := jobs.Deregister("fix-default", false, nil); err != nil {
		t.Fatal(err)
	}
	r.list("/v1/job/fix-default", "job-stopped")
	if _, _, err := jobs.Deregister("fix-default", true, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the events of it are not told apart from those to come
	cancel()
	r.writeEvents(<-lines)
	if _, _, err := jobs.Deregister("big-default", true, nil); err != nil {
		t.Fatal(err)
	}
}

type recorder struct {
	*testing.T
	url string
}

// get opens a path of Nomad's; it is closed with the test.
func (r *recorder) get(ctx context.Context, path string) (io.Reader, http.Header) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = resp.Body.Close() })
	return resp.Body, resp.Header
}

func (r *recorder) await(job string, running int) {
	nomadtest.Eventually(r, time.Minute, func(ctx context.Context) error {
		body, _ := r.get(ctx, "/v1/job/"+job+"/allocations?all=true")
		var stubs []api.AllocationListStub
		if err := json.NewDecoder(body).Decode(&stubs); err != nil {
			return err
		}
		n := 0
		for _, s := range stubs {
			if s.ClientStatus == "running" && s.DeploymentStatus != nil || s.ClientStatus == "complete" {
				n++
			}
		}
		if n != running {
			return fmt.Errorf("%d allocations run or ended, not %d", n, running)
		}
		return nil
	})
}

// list records an answer with its index.
func (r *recorder) list(path, file string) uint64 {
	answer, header := r.get(r.Context(), path)
	body, err := io.ReadAll(answer)
	if err != nil {
		r.Fatal(err)
	}
	index, err := strconv.ParseUint(header.Get("X-Nomad-Index"), 10, 64)
	if err != nil {
		r.Fatal(err)
	}
	r.write(file+".json", map[string]any{"Index": index, "Body": json.RawMessage(body)})
	return index
}

// stream collects the lines of the event stream that tell of the job or its allocations.
func (r *recorder) stream(ctx context.Context, from uint64) <-chan []json.RawMessage {
	out := make(chan []json.RawMessage, 1)
	events, _ := r.get(ctx, "/v1/event/stream?topic=Allocation&topic=Job&topic=Evaluation")
	go func() {
		var lines []json.RawMessage
		for reader := bufio.NewReader(events); ; {
			line, err := reader.ReadBytes('\n')
			if err != nil {
				out <- lines
				return
			}
			var batch struct {
				Index  uint64
				Events []struct{ Topic, Key string }
			}
			if json.Unmarshal(line, &batch) == nil && len(batch.Events) > 0 && batch.Index > from && batch.Events[0].Key != "big-default" {
				lines = append(lines, line)
			}
		}
	}()
	return out
}

// writeEvents records what the watcher's tests need of the lines: all of jobs, and the first and last of allocations.
func (r *recorder) writeEvents(lines []json.RawMessage) {
	var out bytes.Buffer
	allocs := 0
	for i, line := range lines {
		job := bytes.Contains(line, []byte(`"Topic":"Job"`))
		if !job && !bytes.Contains(line, []byte(`"Topic":"Allocation"`)) {
			continue
		}
		last := i+1 < len(lines) && bytes.Contains(lines[i+1], []byte("JobDeregistered"))
		if allocs++; job || allocs <= 2 || last {
			out.Write(line)
		}
	}
	r.writeText("events.ndjson", out.Bytes())
}

func (r *recorder) write(file string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		r.Fatal(err)
	}
	r.writeText(file, append(text, '\n'))
}

func (r *recorder) writeText(file string, text []byte) {
	host, err := os.Hostname()
	if err != nil {
		r.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(host), []byte("node1"))
	if err := os.WriteFile("testdata/"+file, text, 0o644); err != nil {
		r.Error(err)
	}
}

func recordedJob(id, app, release, image string) *api.Job {
	job := emptyJob(id, map[string]string{"dynomad": "inst", "dynomad_app_id": app, "dynomad_space": "default"})
	group := job.TaskGroups[0]
	group.Count = new(1)
	group.Meta = map[string]string{"dynomad_type": "web", "dynomad_release": release}
	group.EphemeralDisk = &api.EphemeralDisk{SizeMB: new(30)}
	task := group.Tasks[0].SetConfig("image", image).SetConfig("command", "sleep").SetConfig("args", []string{"3600"})
	task.KillTimeout = new(time.Second)
	task.LogConfig = &api.LogConfig{MaxFiles: new(1), MaxFileSizeMB: new(10)}
	task.Resources = &api.Resources{CPU: new(20), MemoryMB: new(16)}
	group.Update = &api.UpdateStrategy{
		MaxParallel: new(1), HealthCheck: new("task_states"), MinHealthyTime: new(200 * time.Millisecond),
		HealthyDeadline: new(20 * time.Second), ProgressDeadline: new(30 * time.Second),
	}
	if strings.HasPrefix(id, "big") {
		group.Update = nil
	}
	return job
}
