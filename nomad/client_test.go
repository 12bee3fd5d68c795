package nomad

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// answers are what a Nomad says by path: one after the other, the last again and again. An answer that starts with three
// digits and a blank is an error with that status.
type answers map[string][]string

func clientOf(t *testing.T, a answers) *Client {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		text := "404 not found"
		if list := a[r.URL.Path]; len(list) > 0 {
			text = list[0]
			a[r.URL.Path] = list[min(1, len(list)-1):]
		}
		if len(text) > 4 && text[3] == ' ' && text[0] >= '4' && text[0] <= '5' {
			http.Error(w, text[4:], int(text[0]-'0')*100+int(text[1]-'0')*10+int(text[2]-'0'))
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(server.Close)
	c, err := New(&api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient_kindsOfErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		answer string
		kind   dynomad.Kind
	}{
		{"500 Enforcing job modify index 3: job exists with conflicting job modify index: 7", dynomad.Conflict},
		{"500 Enforcing job modify index 7: job does not exist", dynomad.Conflict},
		{"500 1 error occurred:\n\t* Missing job task groups", dynomad.Invalid},
		{"500 2 errors occurred:\n\t* Task group web validation failed", dynomad.Invalid},
		{`500 job "x" is in nonexistent namespace "y"`, dynomad.Invalid},
		{"500 job not found", dynomad.NotFound},
		{"400 bad", dynomad.Invalid},
		{"403 Permission denied", dynomad.Unavailable},
		{"401 who", dynomad.Unavailable},
		{"404 none", dynomad.NotFound},
		{"429 slow down", dynomad.Unavailable},
		{"500 No cluster leader", dynomad.Unavailable},
		{"500 rpc error: EOF", dynomad.Unavailable},
		{"503 away", dynomad.Unavailable},
	}
	for _, tt := range tests {
		c := clientOf(t, answers{"/v1/jobs": {tt.answer}})
		_, err := c.Register(t.Context(), &api.Job{ID: new("x")}, 7)
		if got := dynomad.KindOf(err); got != tt.kind {
			t.Errorf("%s: got %s, want %s", tt.answer, got, tt.kind)
		}
		if err != nil && strings.Contains(tt.answer, " ") && strings.Contains(messageOf(err), tt.answer[4:]) {
			t.Errorf("Nomad's own text is shown to clients: %s", messageOf(err))
		}
	}
}

// TestClient_variableRefused tells what is not there from what the token may not see, and says which right it needs.
func TestClient_variableRefused(t *testing.T) {
	t.Parallel()
	const path = "dynomad/api-default/1"
	refused := clientOf(t, answers{"/v1/var/" + path: {"403 Permission denied"}, "/v1/vars": {"403 Permission denied"}})
	_, has := refused.HasVariable(t.Context(), "", path)
	_, read := refused.Variable(t.Context(), "", path)
	_, list := (&VariableWatcher{Client: refused}).once(t.Context(), 0)
	for capability, err := range map[string]error{
		"read": has, "list": list, "write": refused.PutVariable(t.Context(), "", path, map[string]string{"A": "secret"}),
		"destroy": refused.DeleteVariable(t.Context(), "", path),
	} {
		want := `variables { path "dynomad/*" { capabilities = ["` + capability + `"] } }`
		if dynomad.KindOf(err) != dynomad.Unavailable || !strings.Contains(messageOf(err), want) {
			t.Errorf("%s: got %v; want unavailable, saying %s", capability, err, want)
		}
	}
	if messageOf(read) == "" || dynomad.KindOf(read) != dynomad.Unavailable {
		t.Errorf("reading it: got %v, want unavailable", read)
	}
	if has, err := clientOf(t, answers{}).HasVariable(t.Context(), "", path); has || err != nil {
		t.Errorf("where there is none: got %t, %v", has, err)
	}
	if has, err := clientOf(t, answers{"/v1/var/" + path: {`{"Path":"` + path + `"}`}}).HasVariable(t.Context(), "", path); !has || err != nil {
		t.Errorf("where there is one: got %t, %v", has, err)
	}
}

// TestClient_endsOnlyWhatItFound has a job change hands between the loop's look at it and its end.
func TestClient_endsOnlyWhatItFound(t *testing.T) {
	t.Parallel()
	const theirs = `{"ID":"api-default","JobModifyIndex":9}`
	for _, now := range []string{theirs, strings.Replace(theirs, "9", "7", 1), "404 none"} {
		c := clientOf(t, answers{
			"/v1/job/api-default":             {now, "{}"}, // read, then ended
			"/v1/job/api-default/allocations": {"[]"},
		})
		ended, stop := c.StopJob(t.Context(), "", "api-default", 7)
		purge := clientOf(t, answers{"/v1/job/api-default": {now, "{}"}}).Purge(t.Context(), "", "api-default", 7)
		for what, err := range map[string]error{"ending": stop, "purging": purge} {
			if kind := dynomad.KindOf(err); (kind == dynomad.Conflict) != (now == theirs) || (err != nil && kind != dynomad.Conflict) {
				t.Errorf("%s, the job being %s: %v", what, now, err)
			}
		}
		if ended == (now == theirs) {
			t.Errorf("the job being %s: has ended is %t", now, ended)
		}
	}
}

// TestClient_stableJob finds the newest version that was rolled out well.
func TestClient_stableJob(t *testing.T) {
	t.Parallel()
	c := clientOf(t, answers{
		"/v1/job/one/versions":  {`{"Versions":[{"Version":3,"Stable":false},{"Version":2,"Stable":true},{"Version":1,"Stable":true}]}`},
		"/v1/job/none/versions": {`{"Versions":[{"Version":0,"Stable":false}]}`},
	})
	if job, err := c.StableJob(t.Context(), "", "one"); err != nil || *job.Version != 2 {
		t.Errorf("got %+v, %v; want version 2", job, err)
	}
	for _, id := range []string{"none", "absent"} {
		if job, err := c.StableJob(t.Context(), "", id); dynomad.KindOf(err) != dynomad.NotFound {
			t.Errorf("%s: got %+v, %v; want that there is none", id, job, err)
		}
	}
}

func messageOf(err error) string {
	if e, ok := err.(*dynomad.Error); ok { //nolint:errorlint // the outermost one is meant
		return e.Message
	}
	return err.Error()
}

func TestClient_ping(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]dynomad.Kind{
		`"127.0.0.1:4647"`: "", `""`: dynomad.Unavailable, "500 No cluster leader": dynomad.Unavailable,
	} {
		c := clientOf(t, answers{"/v1/status/leader": {answer}})
		if leader := c.Leader(); leader != "" {
			t.Errorf("the leader before any ping is %q", leader)
		}
		err := c.Ping(t.Context())
		if leader := c.Leader(); (leader == "127.0.0.1:4647") != (want == "") {
			t.Errorf("leader %s: got %q", answer, leader)
		}
		if got := dynomad.KindOf(err); got != want {
			t.Errorf("leader %s: got %v, want kind %q", answer, err, want)
		}
	}
}

// TestClient_facts fails rather than say that memory is not oversubscribed only because Nomad could not tell just then: every
// dyno would be replaced.
func TestClient_facts(t *testing.T) {
	t.Parallel()
	facts := func(scheduler string) (Facts, error) {
		return clientOf(t, answers{
			"/v1/status/leader": {`"127.0.0.1:4647"`}, "/v1/operator/scheduler/configuration": {scheduler},
			"/v1/acl/policies": {"[]"}, "/v1/nodes": {`[{"Name":"n1","NodeResources":{"Networks":[{"IP":"127.0.0.1"}]}}]`},
		}).Facts(t.Context())
	}
	for scheduler, on := range map[string]bool{
		`{"SchedulerConfig":{"MemoryOversubscriptionEnabled":true}}`: true, `{"SchedulerConfig":{}}`: false, "403 Permission denied": false,
	} {
		f, err := facts(scheduler)
		if err != nil || f.Oversubscription != on {
			t.Errorf("%s: got %+v, %v", scheduler, f, err)
		}
		if last := f.Warnings[len(f.Warnings)-1]; !strings.Contains(last, "n1") || (len(f.Warnings) == 1) != on {
			t.Errorf("%s: warnings %q", scheduler, f.Warnings)
		}
	}
	for _, away := range []string{"500 No cluster leader", "429 slow down"} {
		if f, err := facts(away); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("%s: got %+v, %v; want unavailable", away, f, err)
		}
	}
}

func TestClient_rolloutByDeployment(t *testing.T) {
	t.Parallel()
	const list = `[
		{"JobSpecModifyIndex":7,"CreateIndex":3,"Status":"failed","StatusDescription":"old"},
		{"JobSpecModifyIndex":9,"CreateIndex":10,"Status":"%","StatusDescription":"why","TaskGroups":{"web":{"UnhealthyAllocs":1}}},
		{"JobSpecModifyIndex":9,"CreateIndex":9,"Status":"cancelled"}]`
	for status, want := range map[string]jobs.Rollout{
		"running":    {Unhealthy: true},
		"pending":    {Unhealthy: true},
		"paused":     {Unhealthy: true},
		"cancelled":  {},
		"successful": {State: jobs.RolloutSucceeded},
		"failed":     {State: jobs.RolloutFailed, Reason: "why"},
	} {
		c := clientOf(t, answers{"/v1/job/x/deployments": {strings.Replace(list, "%", status, 1)}})
		got, err := c.Rollout(t.Context(), "", "x", dynomad.AppliedState{ModifyIndex: 9, EvalID: "e"})
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", status, got, err, want)
		}
	}
}

// TestClient_rolloutByEval is about registers that made no deployment, or none yet.
func TestClient_rolloutByEval(t *testing.T) {
	t.Parallel()
	const (
		none     = "[]"
		begun    = `[{"JobSpecModifyIndex":9,"CreateIndex":10,"Status":"running"}]`
		same     = `{"ID":"x","JobModifyIndex":9}`
		changed  = `{"ID":"x","JobModifyIndex":12}`
		complete = `{"ID":"e","JobID":"x","Status":"complete"}`
	)
	succeeded, running := jobs.Rollout{State: jobs.RolloutSucceeded}, jobs.Rollout{}
	tests := []struct {
		name    string
		answers answers
		want    jobs.Rollout
	}{
		{"not looked at yet", answers{"/v1/evaluation/e": {`{"Status":"pending"}`}}, running},
		{"ended", answers{"/v1/evaluation/e": {complete}}, succeeded},
		{"its deployment began between two looks", answers{"/v1/evaluation/e": {complete}, "/v1/job/x/deployments": {none, begun}}, running},
		{"collected long ago", answers{}, succeeded},
		{"collected long ago, put back since", answers{"/v1/job/x": {changed}}, running},
		{"purged since", answers{"/v1/evaluation/e": {complete}, "/v1/job/x": {"404 none"}}, running},
		{
			"failed for good",
			answers{"/v1/evaluation/e": {`{"Status":"failed","StatusDescription":"why"}`}},
			jobs.Rollout{State: jobs.RolloutFailed, Reason: "why"},
		},
		{
			"failed, and another follows",
			answers{"/v1/evaluation/e": {`{"Status":"failed","BlockedEval":"f"}`}, "/v1/evaluation/f": {`{"Status":"blocked"}`}},
			running,
		},
		{
			"dropped for another that is to come",
			answers{"/v1/evaluation/e": {`{"JobID":"x","Status":"canceled"}`}, "/v1/job/x/evaluations": {`[{"Status":"pending"}]`}},
			running,
		},
		{
			"dropped for another that has ended",
			answers{"/v1/evaluation/e": {`{"JobID":"x","Status":"canceled"}`}, "/v1/job/x/evaluations": {`[{"Status":"complete"}]`}},
			succeeded,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for path, usual := range map[string]string{"/v1/job/x/deployments": none, "/v1/job/x": same} {
				if tt.answers[path] == nil {
					tt.answers[path] = []string{usual}
				}
			}
			got, err := clientOf(t, tt.answers).Rollout(t.Context(), "", "x", dynomad.AppliedState{ModifyIndex: 9, EvalID: "e"})
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}
