package nomadtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// nomadRoutes are the paths of Nomad's API that the daemon uses (https://developer.hashicorp.com/nomad/api-docs).
func (s *Sim) nomadRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, get := range map[string]func(*http.Request) (any, error){
		"/v1/status/leader":                    func(*http.Request) (any, error) { return "127.0.0.1:4647", nil },
		"/v1/operator/scheduler/configuration": schedulerConfig,
		"/v1/acl/policies":                     func(*http.Request) (any, error) { return nil, simError{http.StatusBadRequest, "ACL support disabled"} },
		"/v1/nodes":                            listNodes,
		"/v1/jobs":                             s.listJobs,
		"/v1/job/{id}":                         s.getJob,
		"/v1/job/{id}/versions":                s.listVersions,
		"/v1/job/{id}/allocations":             s.listJobAllocs,
		"/v1/job/{id}/deployments":             s.listDeployments,
		"/v1/job/{id}/evaluations":             func(*http.Request) (any, error) { return []*api.Evaluation{}, nil },
		"/v1/allocations":                      s.listAllocs,
		"/v1/evaluations":                      func(*http.Request) (any, error) { return []*api.Evaluation{}, nil },
		"/v1/evaluation/{id}":                  getEvaluation,
		"/v1/deployment/{id}":                  s.getDeployment,
		"/v1/deployment/allocations/{id}":      s.listDeploymentAllocs,
		"/v1/var/{path...}":                    s.getVariable,
	} {
		mux.Handle("GET "+pattern, s.nomadRead(get))
	}
	mux.Handle("GET /v1/vars", s.read("Nomad", func() uint64 { return s.varIndex }, s.listVariables))
	mux.HandleFunc("GET /v1/event/stream", s.stream)
	for pattern, do := range map[string]func(*http.Request) (any, error){
		"PUT /v1/jobs":                 s.putJob,
		"DELETE /v1/job/{id}":          s.deleteJob,
		"PUT /v1/allocation/{id}/stop": s.stopAllocation,
		"PUT /v1/deployment/fail/{id}": s.failDeployment,
		"PUT /v1/var/{path...}":        s.putVariable,
		"DELETE /v1/var/{path...}":     s.deleteVariable,
	} {
		mux.Handle(pattern, s.write(do))
	}
	return mux
}

func schedulerConfig(*http.Request) (any, error) {
	return api.SchedulerConfigurationResponse{SchedulerConfig: &api.SchedulerConfiguration{MemoryOversubscriptionEnabled: true}}, nil
}

// simNodes is how many nodes there are.
const simNodes = 100

// simNode gives the id and the name of a node.
func simNode(n uint64) (id, name string) {
	n %= simNodes
	return fmt.Sprintf("00000000-0000-4000-9000-%012x", n), fmt.Sprintf("node-%d", n)
}

func listNodes(*http.Request) (any, error) {
	nodes := make([]*api.NodeListStub, simNodes)
	for i := range nodes {
		id, name := simNode(uint64(i)) //nolint:gosec // below simNodes
		nodes[i] = &api.NodeListStub{
			ID: id, Name: name, Status: api.NodeStatusReady,
			NodeResources: &api.NodeResources{Networks: []*api.NetworkResource{{Device: "eth0", IP: "192.0.2.1"}}},
		}
	}
	return nodes, nil
}

func (s *Sim) jobIn(r *http.Request) (*fakeJob, error) {
	if j := s.jobs[fakeKey(namespaceIn(r), r.PathValue("id"))]; j != nil {
		return j, nil
	}
	return nil, notFound("job not found")
}

func (s *Sim) listJobs(r *http.Request) (any, error) {
	list := []*api.JobListStub{}
	for _, key := range slices.Sorted(maps.Keys(s.jobs)) {
		if !inNamespace(r, namespaceOf(key)) {
			continue
		}
		spec := s.jobs[key].spec
		stub := &api.JobListStub{
			ID: *spec.ID, Name: *spec.ID, Namespace: *spec.Namespace, Type: jobType(spec), Stop: *spec.Stop, Status: "running",
			CreateIndex: *spec.CreateIndex, ModifyIndex: *spec.JobModifyIndex, JobModifyIndex: *spec.JobModifyIndex,
			JobSummary: &api.JobSummary{JobID: *spec.ID, Namespace: *spec.Namespace},
		}
		if r.URL.Query().Get("meta") == "true" {
			stub.Meta = spec.Meta
		}
		list = append(list, stub)
	}
	return list, nil
}

func jobType(spec *api.Job) string {
	if isBatch(spec) {
		return api.JobTypeBatch
	}
	return api.JobTypeService
}

func (s *Sim) getJob(r *http.Request) (any, error) {
	j, err := s.jobIn(r)
	if err != nil {
		return nil, err
	}
	return j.spec, nil
}

// trackedVersions is how many versions of a job Nomad keeps (job_tracked_versions).
const trackedVersions = 6

func (s *Sim) listVersions(r *http.Request) (any, error) {
	j, err := s.jobIn(r)
	if err != nil {
		return nil, err
	}
	newest := slices.Clone(j.specs)
	slices.Reverse(newest)
	return api.JobVersionsResponse{Versions: newest[:min(len(newest), trackedVersions)]}, nil
}

func (s *Sim) listJobAllocs(r *http.Request) (any, error) {
	list := rawList{}
	for _, a := range s.feed.ofJob[fakeKey(namespaceIn(r), r.PathValue("id"))] {
		if !a.forgotten {
			list = append(list, s.stub(a))
		}
	}
	return list, nil
}

// simPage is a part of a list, and where the next begins; "" is nowhere.
type simPage struct {
	rows rawList
	next string
}

// listAllocs lists all allocations, oldest first, or a page of them: its token is the id of its first (Nomad's has another form).
func (s *Sim) listAllocs(r *http.Request) (any, error) {
	all := s.feed.order
	if token := r.URL.Query().Get("next_token"); token != "" {
		i, _ := slices.BinarySearchFunc(all, token, func(a *fakeAlloc, id string) int { return strings.Compare(a.ID, id) })
		all = all[i:]
	}
	most := len(all)
	if n, err := strconv.Atoi(r.URL.Query().Get("per_page")); err == nil && n > 0 {
		most = n
	}
	page := simPage{rows: rawList{}}
	for _, a := range all {
		if a.forgotten || !inNamespace(r, a.Namespace) {
			continue
		}
		if len(page.rows) == most {
			page.next = a.ID
			break
		}
		page.rows = append(page.rows, s.stub(a))
	}
	return page, nil
}

// putJob registers a job. Nomad answers a lost check-and-set, and a job that it finds fault with, with 500.
func (s *Sim) putJob(r *http.Request) (any, error) {
	var in api.JobRegisterRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Job == nil || in.Job.ID == nil {
		return nil, simError{http.StatusBadRequest, "Job must be specified"}
	}
	if len(in.Job.TaskGroups) == 0 {
		return nil, simError{http.StatusInternalServerError, "1 error occurred:\n\t* Missing job task groups\n\n"}
	}
	namespace := namespaceIn(r)
	if in.Job.Namespace != nil {
		namespace = *in.Job.Namespace
	}
	key := fakeKey(namespace, *in.Job.ID)
	j := s.jobs[key]
	switch {
	case !in.EnforceIndex:
	case j == nil && in.JobModifyIndex != 0:
		return nil, enforced(in.JobModifyIndex, "job does not exist")
	case j != nil && in.JobModifyIndex == 0:
		return nil, enforced(in.JobModifyIndex, "job already exists")
	case j != nil && *j.spec.JobModifyIndex != in.JobModifyIndex:
		return nil, enforced(in.JobModifyIndex, "job exists with conflicting job modify index")
	}
	index := s.put(key, in.Job)
	return api.JobRegisterResponse{EvalID: s.evalID(), JobModifyIndex: index, EvalCreateIndex: s.index}, nil
}

func enforced(index uint64, why string) error {
	return simError{http.StatusInternalServerError, fmt.Sprintf("%s %d: %s", api.RegisterEnforceIndexErrPrefix, index, why)}
}

func (s *Sim) evalID() string { return fmt.Sprintf("00000000-0000-4000-a000-%012x", s.next()) }

func (s *Sim) deleteJob(r *http.Request) (any, error) {
	key := fakeKey(namespaceIn(r), r.PathValue("id"))
	j := s.jobs[key]
	if j == nil {
		return api.JobDeregisterResponse{}, nil
	}
	if r.URL.Query().Get("purge") == "true" {
		if !s.ended(key) {
			s.orphans++
		}
		s.purge(key)
	} else {
		s.stopJob(key)
	}
	return api.JobDeregisterResponse{EvalID: s.evalID(), JobModifyIndex: s.index}, nil
}

func (s *Sim) stopAllocation(r *http.Request) (any, error) {
	a := s.feed.allocs[r.PathValue("id")]
	if a == nil || a.forgotten {
		return nil, notFound("alloc not found")
	}
	s.replace(a)
	return api.AllocStopResponse{EvalID: s.evalID()}, nil
}

// getEvaluation says that what was registered has been placed: it always is, at once.
func getEvaluation(r *http.Request) (any, error) {
	return api.Evaluation{ID: r.PathValue("id"), Status: "complete"}, nil
}

func (s *Sim) listDeployments(r *http.Request) (any, error) {
	j, err := s.jobIn(r)
	if err != nil {
		return nil, err
	}
	list := []*api.Deployment{}
	for index := range j.deployments {
		list = append(list, s.deployment(j, index))
	}
	return list, nil
}

// deploymentStatus words what became of a rollout.
func deploymentStatus(rollout *jobs.Rollout) string {
	switch rollout.State {
	case jobs.RolloutSucceeded:
		return api.DeploymentStatusSuccessful
	case jobs.RolloutFailed:
		return api.DeploymentStatusFailed
	}
	return api.DeploymentStatusRunning
}

func (s *Sim) deployment(j *fakeJob, index uint64) *api.Deployment {
	rollout := j.deployments[index]
	key := fakeKey(*j.spec.Namespace, *j.spec.ID)
	groups := map[string]*api.DeploymentState{}
	for _, tg := range j.spec.TaskGroups {
		groups[*tg.Name] = &api.DeploymentState{DesiredTotal: *tg.Count}
	}
	for _, a := range s.sick(key) {
		groups[a.Group].UnhealthyAllocs++
	}
	return &api.Deployment{
		ID: deploymentID(key, index), Namespace: *j.spec.Namespace, JobID: *j.spec.ID, JobSpecModifyIndex: index,
		JobCreateIndex: *j.spec.CreateIndex, CreateIndex: index, ModifyIndex: index, TaskGroups: groups,
		Status: deploymentStatus(rollout), StatusDescription: rollout.Reason,
	}
}

// deploymentIn finds the deployment that a request names.
func (s *Sim) deploymentIn(r *http.Request, visit func(key string, j *fakeJob, index uint64)) error {
	err := notFound("deployment not found")
	s.deploymentOf(r.PathValue("id"), func(key string, j *fakeJob, rollout *jobs.Rollout) {
		for index, other := range j.deployments {
			if other == rollout {
				visit(key, j, index)
				err = nil
			}
		}
	})
	return err
}

func (s *Sim) getDeployment(r *http.Request) (answer any, err error) {
	err = s.deploymentIn(r, func(_ string, j *fakeJob, index uint64) { answer = s.deployment(j, index) })
	return answer, err
}

func (s *Sim) listDeploymentAllocs(r *http.Request) (any, error) {
	list := rawList{}
	err := s.deploymentIn(r, func(key string, _ *fakeJob, _ uint64) {
		for _, a := range s.feed.ofJob[key] {
			if !a.forgotten {
				list = append(list, s.stub(a))
			}
		}
	})
	return list, err
}

func (s *Sim) failDeployment(r *http.Request) (any, error) {
	running := false
	err := s.deploymentIn(r, func(_ string, j *fakeJob, index uint64) {
		if running = j.deployments[index].State == jobs.RolloutRunning; running {
			s.finish(j, jobs.Rollout{State: jobs.RolloutFailed, Reason: "Deployment marked as failed"})
		}
	})
	if err == nil && !running {
		err = simError{http.StatusInternalServerError, "can't fail terminal deployment"}
	}
	return api.DeploymentUpdateResponse{}, err
}

func (s *Sim) getVariable(r *http.Request) (any, error) {
	namespace, path := namespaceIn(r), r.PathValue("path")
	items, ok := s.variables[fakeKey(namespace, path)]
	if !ok {
		return nil, notFound("variable not found")
	}
	return api.Variable{Namespace: namespace, Path: path, Items: items}, nil
}

func (s *Sim) listVariables(r *http.Request) (any, error) {
	list := []*api.VariableMetadata{}
	for _, key := range slices.Sorted(maps.Keys(s.variables)) {
		namespace, path, _ := strings.Cut(key, "/")
		if inNamespace(r, namespace) && strings.HasPrefix(path, r.URL.Query().Get("prefix")) {
			list = append(list, &api.VariableMetadata{Namespace: namespace, Path: path})
		}
	}
	return list, nil
}

func (s *Sim) putVariable(r *http.Request) (any, error) {
	var v api.Variable
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil || len(v.Items) == 0 {
		return nil, simError{http.StatusBadRequest, "variable missing required Items object"}
	}
	namespace := namespaceIn(r)
	s.variables[fakeKey(namespace, r.PathValue("path"))] = maps.Clone(v.Items)
	s.varIndex = s.next()
	s.startGranted(namespace)
	s.wake()
	return v, nil
}

func (s *Sim) deleteVariable(r *http.Request) (any, error) {
	key := fakeKey(namespaceIn(r), r.PathValue("path"))
	if _, ok := s.variables[key]; ok {
		delete(s.variables, key)
		s.varIndex = s.next()
		s.wake()
	}
	return struct{}{}, nil
}
