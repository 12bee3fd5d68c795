package jobs

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// The rules come in the order in which the platform says that the first match wins.
func TestStateRules_order(t *testing.T) {
	t.Parallel()
	var got []dynomad.DynoState
	for _, rule := range stateRules() {
		got = append(got, rule.state)
	}
	got = append(got, dynomad.StateRunning) // what is left
	if diff := cmp.Diff(got, dynomad.DynoStates()); diff != "" {
		t.Errorf("states (-got +want):\n%s", diff)
	}
}

func TestClause(t *testing.T) {
	t.Parallel()
	long := make([]byte, 2*maxInfo)
	for i := range long {
		long[i] = 'x'
	}
	for text, want := range map[string]string{
		"": "", " \n ": "", "a\n b": "a b.", "done.": "done.", "no\xff!": "no!", string(long): string(long[:maxInfo]) + "…",
	} {
		if got := clause(text); got != want {
			t.Errorf("clause(%q) = %q, want %q", text, got, want)
		}
	}
	if got := sentence("ärger"); got != "Ärger." {
		t.Errorf("sentence = %q", got)
	}
}
