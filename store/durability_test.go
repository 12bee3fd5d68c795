package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// TestDurability_filesCopiedWhileOpen takes the files as a crash of the machine would leave them: nothing was closed.
func TestDurability_filesCopiedWhileOpen(t *testing.T) {
	t.Parallel()
	from, to := dbPath(t), dbPath(t)
	s := openAt(t, from)
	addApp(t, s, "shop")
	want := deploy(t, s, "shop-default")
	for _, suffix := range []string{"", "-wal"} {
		content := must[[]byte](t)(os.ReadFile(from + suffix))
		if err := os.WriteFile(to+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	diff(t, must[dynomad.AppState](t)(openAt(t, to).AppState(t.Context(), "shop-default")), want)
}

// TestDurability_killed kills a process that writes, and finds every write that it had an answer for.
func TestDurability_killed(t *testing.T) {
	t.Parallel()
	const pathVar = "STORE_TEST_WRITE_TO"
	if path := os.Getenv(pathVar); path != "" {
		s := openAt(t, path)
		addApp(t, s, "shop")
		for range 1000 { // and then no more, should nobody kill it
			fmt.Println("answered", deploy(t, s, "shop-default").Last.Version)
		}
		return
	}
	path := dbPath(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDurability_killed$", "-test.count=1")
	child.Env = append(os.Environ(), pathVar+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	answered, killed := 0, false
	for lines := bufio.NewScanner(out); lines.Scan(); { // on past the kill: these had their answers too
		var n int
		if _, err := fmt.Sscanf(strings.TrimSpace(lines.Text()), "answered %d", &n); err == nil {
			answered = n
		}
		if answered == 20 && !killed {
			killed = true
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if answered < 20 {
		t.Fatalf("the child wrote %d times, want 20", answered)
	}
	state := must[dynomad.AppState](t)(openAt(t, path).AppState(t.Context(), "shop-default"))
	if state.Last.Version < answered || state.Builds != state.Last.Version {
		t.Errorf("got v%d and %d builds; v%d had been answered", state.Last.Version, state.Builds, answered)
	}
}

func TestEditApp_manyAtOnce(t *testing.T) {
	t.Parallel()
	const writers, each = 20, 5
	s := newStore(t)
	app := addApp(t, s, "shop")
	stop := make(chan struct{})
	var reading, writing sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// A reader sees whole edits only: a release never comes without its build.
			state, err := s.AppState(t.Context(), app.ID)
			if err != nil || (state.Last != nil && state.Last.Version != state.Builds) {
				t.Errorf("got %+v, %v", state.Last, err)
				return
			}
		}
	})
	for range writers {
		writing.Go(func() {
			for range each {
				if _, err := s.EditApp(t.Context(), app.ID, deployment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	var versions []int
	for _, r := range must[[]dynomad.Release](t)(s.Releases(t.Context(), app.ID)) {
		versions = append(versions, r.Version)
	}
	if len(versions) != writers*each || !slices.IsSorted(versions) || versions[0] != 1 || versions[len(versions)-1] != writers*each {
		t.Errorf("got versions %v, want 1 to %d without a gap", versions, writers*each)
	}
}

// TestEditApp_twoProcesses has two stores on one file: each edit starts with the write lock, so none decides on what is old.
func TestEditApp_twoProcesses(t *testing.T) {
	t.Parallel()
	const each = 30
	path := dbPath(t)
	addApp(t, openAt(t, path), "shop")
	var writing sync.WaitGroup
	for range 2 {
		s := must[*Store](t)(Open(t.Context(), Config{Path: path, Key: testKey, BusyTimeout: time.Minute}))
		t.Cleanup(func() { _ = s.Close() })
		writing.Go(func() {
			for range each {
				if _, err := s.EditApp(t.Context(), "shop-default", deployment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	state := must[dynomad.AppState](t)(openAt(t, path).AppState(t.Context(), "shop-default"))
	if state.Last.Version != 2*each || state.Builds != 2*each {
		t.Errorf("got v%d and %d builds, want %d", state.Last.Version, state.Builds, 2*each)
	}
}
