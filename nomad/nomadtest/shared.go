package nomadtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// startWithin bounds the start of a shared cluster.
const startWithin = 3 * time.Minute

// Shared is the one cluster of a test package: it is started when the first test asks for it, and ended by Run. Its
// zero value is ready; a test package has one, as a variable beside TestMain.
type Shared struct {
	Config Config

	once    sync.Once
	cluster *Cluster
	err     error
}

// Run runs the tests of a package, ends the cluster if one was started, and returns the exit code. If a test failed,
// the last lines of the parts' logs are printed and the whole logs kept.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if s.cluster == nil {
		return code
	}
	if code != 0 {
		if err := s.cluster.reportLogs(os.Stderr, 30); err != nil {
			complain("reporting logs", err)
		}
	}
	if err := s.cluster.Close(); err != nil {
		complain("ending the cluster", err)
		return max(code, 1)
	}
	return code
}

// Cluster is the package's cluster, started now if this is the first test to ask. The test fails if it cannot start.
func (s *Shared) Cluster(tb testing.TB) *Cluster {
	tb.Helper()
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), startWithin)
		defer cancel()
		s.cluster, s.err = Start(ctx, s.Config)
	})
	if s.err != nil {
		tb.Fatalf("starting the cluster: %v", s.err)
	}
	return s.cluster
}

func complain(doing string, err error) { fmt.Fprintf(os.Stderr, "nomadtest: %s: %v\n", doing, err) }
