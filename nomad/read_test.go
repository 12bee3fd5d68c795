package nomad

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

func TestClient_jobSpec(t *testing.T) {
	t.Parallel()
	c := clientOf(t, answers{"/v1/job/x-default": {`{"ID":"x-default","Meta":{"a":"b"}}`}})
	job, err := c.JobSpec(t.Context(), "", "x-default")
	if err != nil || job.Meta["a"] != "b" {
		t.Errorf("got %+v, %v", job, err)
	}
	if _, err := c.JobSpec(t.Context(), "", "y-default"); dynomad.KindOf(err) != dynomad.NotFound {
		t.Errorf("a job that is not there: %v", err)
	}
}

func TestClient_variable(t *testing.T) {
	t.Parallel()
	c := clientOf(t, answers{
		"/v1/var/dynomad/x/1": {`{"Path":"dynomad/x/1","Items":{"A":"1"}}`}, "/v1/var/dynomad/x/2": {"403 Permission denied"},
	})
	items, err := c.Variable(t.Context(), "", "dynomad/x/1")
	if diff := cmp.Diff(items, map[string]string{"A": "1"}); diff != "" || err != nil {
		t.Errorf("got %v, %s", err, diff)
	}
	for path, kind := range map[string]dynomad.Kind{"dynomad/x/2": dynomad.Unavailable, "dynomad/x/3": dynomad.NotFound} {
		if items, err := c.Variable(t.Context(), "", path); dynomad.KindOf(err) != kind || items != nil {
			t.Errorf("%s: %v, %v, want %s", path, items, err, kind)
		}
	}
}
