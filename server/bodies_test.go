package server

import (
	"fmt"
	"testing"

	"github.com/dynomad/dynomad"
)

// TestBodies_bounded keeps ever more and larger lists: what is in memory stays bounded, and what was kept last is there.
func TestBodies_bounded(t *testing.T) {
	t.Parallel()
	b := newBodies()
	text := make([]byte, 1<<20)
	for i := range 200 {
		key := bodyKey{appID: fmt.Sprint(i)}
		b.put(key, dynomad.DynoMark{}, text[:len(text)/2])
		b.put(key, dynomad.DynoMark{}, text) // in place of the first
		size := 0
		for _, kept := range b.kept {
			size += len(kept.text)
		}
		if size != b.size || size > maxBodies+len(text) || len(b.kept[key].text) != len(text) {
			t.Fatalf("after %d lists: %d bytes, said to be %d", i+1, size, b.size)
		}
	}
}
