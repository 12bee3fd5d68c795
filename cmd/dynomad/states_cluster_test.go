//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// stateCase is an app that brings its dyno into a state. Its name is the test's too.
type stateCase struct {
	app   string
	image string // "" is the sample app's
	dyno  string // the dyno type
	test  func(*testing.T, *daemon, *diary)
}

func stateCases(stalled string) []stateCase {
	return []stateCase{
		{"noimage", "dynomad.local/absent:1", `{"type":"web"}`, testImageMissing},
		{"nocommand", "", `{"type":"worker","command":"/nonexistent --flag"}`, testCommandMissing},
		{"late127", "busybox", `{"type":"worker","command":"sh -c 'sleep 2; exit 127'"}`, testLateNotFound},
		{"exit3", "", `{"type":"worker","command":"/app crash 3"}`, testCrash},
		{"oom", "", `{"type":"worker","command":"/app oom","size":"gp1"}`, testOutOfMemory},
		{"mute", "", `{"type":"web","command":"/app silent"}`, testNeverListens},
		{"sick", "", `{"type":"web","healthcheck":"/health"}`, testSickAndWell},
		{"huge", "", `{"type":"web","size":"huge"}`, testNoRoom},
		{"pulling", stalled, `{"type":"web"}`, testPulling},
		{"unset", "", `{"type":"worker","command":"/app worker"}`, testConfigMissing},
		{"drained", "", `{"type":"web"}`, testStopping},
		{"fine", "", `{"type":"web"}`, testRunning},
		{"worker", "", `{"type":"worker","command":"/app worker"}`, testWorkerRunning},
	}
}

const (
	stateDrain = 5 * time.Second
	stateGrace = 5 * time.Second
)

// testSizes is a file of sizes of which one is larger than any node.
const testSizes = `
size "gp1"  { cpu = 50, memory = 256 }
size "gp2"  { cpu = 50, memory = 256, memory_max = 512 }
size "huge" { cpu = 50, memory = 9000000 }
`

// TestState brings a dyno into each of the documented states, all on one daemon and at the same time, and looks at it every
// 50 ms from its first instant.
func TestState(t *testing.T) {
	t.Parallel()
	sizes := filepath.Join(t.TempDir(), "sizes.hcl")
	if err := os.WriteFile(sizes, []byte(strings.ReplaceAll(testSizes, ", ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	registry := newStalledRegistry(t)
	d := startDaemon(t, append(quick(), "DYNOMAD_SIZES="+sizes, "DYNOMAD_DRAIN="+stateDrain.String(), "DYNOMAD_START_GRACE="+stateGrace.String())...)
	cases := stateCases(registry.image())
	diaries := make([]*diary, len(cases))
	for i, c := range cases {
		diaries[i] = d.deployState(c)
	}
	t.Cleanup(d.deleteAll)
	for i, c := range cases {
		t.Run(c.app, func(t *testing.T) {
			t.Parallel()
			mine := *d
			mine.tb = t
			if c.app == "pulling" {
				mine.url = d.url
				testPullingFrom(t, registry, diaries[i])
				return
			}
			c.test(t, &mine, diaries[i])
		})
	}
}
