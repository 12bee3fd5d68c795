//go:build integration

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// restMemory is what the daemon may take when nothing happens, in bytes.
const restMemory = 60 << 20

// benchRest tells how large the daemon is: its program, and in memory when its dynos just run.
func (d *daemon) benchRest(b *testing.B, found *board) {
	b.Helper()
	for range 3 {
		busy(b, 10*time.Second) // it may put itself in order
	}
	found.check(b, inBytes(fmt.Sprintf("memory at rest with %d apps", restApps), float64(d.memory(b))), atMost(restMemory))
	shipped, stripped := programSizes(b)
	found.note("size of the program (without symbols)", fmt.Sprintf("%s (%s)", mebibytes(shipped), mebibytes(stripped)))
}

// programSizes are the sizes of the program as it is shipped, and of the same without symbols, in bytes.
func programSizes(b *testing.B) (shipped, stripped int) {
	b.Helper()
	path, err := tool("dynomad")
	if err != nil {
		b.Fatal(err)
	}
	root, err := nomadtest.RepoRoot()
	if err != nil {
		b.Fatal(err)
	}
	small := filepath.Join(b.TempDir(), "dynomad")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", small, "./cmd/dynomad")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return fileSize(b, path), fileSize(b, small)
}

func fileSize(b *testing.B, path string) int {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return int(info.Size())
}
