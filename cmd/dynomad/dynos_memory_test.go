package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad/jobs"
)

// TestDynos_memory lists the dynos of a rollout, and of a type that is held at an older release, when the database can be read no more:
// each list that is not the first is made from memory.
func TestDynos_memory(t *testing.T) {
	t.Parallel()
	s := newPictured(t)
	s.do(http.MethodPatch, "/apps/x-default/config-vars", `{"A":"1"}`)
	s.do(http.MethodPatch, "/apps/x-default/config-vars", `{"A":"2"}`)
	s.reset()
	for i, group := range []string{"worker", "web", "web"} {
		s.release = i + 1
		info, content := s.job(), s.content()
		s.feed(jobs.Delta{Job: &info, Content: &content})
		s.put(group, i, nil)
	}
	before := s.dynos("a rollout began")
	for version := 1; version <= 3; version++ {
		_, release := s.ask(s.api, fmt.Sprintf("/apps/x-default/releases/%d", version), "")
		_, id, _ := strings.Cut(release, `"id":"`)
		want := fmt.Sprintf(`"release":{"id":"%s","version":%d}`, id[:36], version)
		if !strings.Contains(before, want) {
			t.Errorf("no dyno of v%d, %s: %s", version, want, before)
		}
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Nanosecond)
	if after := s.dynos("the database was closed"); after != before {
		t.Errorf("from memory (-before +after):\n%s", cmp.Diff(before, after))
	}
}
