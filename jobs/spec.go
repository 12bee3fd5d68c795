package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/hashicorp/nomad/api"
)

// Spec renders an app as a Nomad job of one group for each kept-up dyno type. A job with no groups is an error: Nomad
// refuses it, and what is meant is that there is no job (see InputFor).
// The stanzas are those of https://developer.hashicorp.com/nomad/docs/job-specification.
func Spec(in Input) (*api.Job, error) {
	if err := in.validate(); err != nil {
		return nil, fmt.Errorf("render the job of %s: %w", in.App.Name, err)
	}
	groups, err := groups(in)
	if err != nil {
		return nil, fmt.Errorf("render the job of %s: %w", in.App.Name, err)
	}
	return &api.Job{
		ID:          ptr(JobID(in.App)),
		Name:        ptr(JobID(in.App)),
		Type:        ptr(api.JobTypeService),
		Region:      optional(in.Region),
		Namespace:   optional(in.namespace(in.App)),
		Datacenters: datacenters(in.Settings),
		NodePool:    optional(in.NodePool),
		Spreads:     spread(),
		Meta:        ownerMeta(in.Installation, in.App),
		UI:          ui(in),
		TaskGroups:  groups,
	}, nil
}

func groups(in Input) ([]*api.TaskGroup, error) {
	sorted := append([]Group(nil), in.Groups...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Type.Type < sorted[j].Type.Type })
	out := make([]*api.TaskGroup, 0, len(sorted))
	for _, g := range sorted {
		tg, err := group(in, g)
		if err != nil {
			return nil, fmt.Errorf("dyno type %s: %w", g.Type.Type, err)
		}
		out = append(out, tg)
	}
	return out, nil
}

func datacenters(s Settings) []string {
	if len(s.Datacenters) == 0 {
		return []string{"*"}
	}
	return s.Datacenters
}

// spread puts a type's dynos on as many nodes as there are.
func spread() []*api.Spread {
	return []*api.Spread{{Attribute: "${node.unique.id}", Weight: ptr(int8(100))}}
}

// ui says in Nomad's UI what the job is. A change of it restarts nothing.
func ui(in Input) *api.JobUIConfig {
	u := &api.JobUIConfig{
		Description: fmt.Sprintf("The app %s, kept by Dynomad. What is changed here is put back; use Dynomad's API.", in.App.Name),
	}
	if in.APIURL != "" {
		u.Links = []*api.JobUILink{{Label: "The app in Dynomad", URL: in.APIURL + "/apps/" + in.App.Name}}
	}
	return u
}

// Hash gives a fingerprint of a rendering, for telling whether another one differs. It is kept in our store only: in the
// job's meta it would restart every dyno whenever anything changes.
func Hash(job *api.Job) string {
	// The client's types are plain data, which encodes without an error and with sorted keys.
	text, err := json.Marshal(job)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func ptr[T any](v T) *T { return &v }

// optional gives nil for "", which leaves the choice to Nomad.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
