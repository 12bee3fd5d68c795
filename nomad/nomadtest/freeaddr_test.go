package nomadtest

import (
	"testing"
)

// TestFreePorts has two programs take all ports of a block each: nothing is given out twice, and nothing that is listened on.
func TestFreePorts(t *testing.T) {
	var one, other freePorts
	t.Cleanup(func() {
		for _, f := range []*freePorts{&one, &other} {
			if f.held != nil {
				_ = f.held.Close()
			}
		}
	})
	start, err := one.block(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	taken, err := listenLoopback(t.Context(), start+2)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // the test is over
	seen := map[string]bool{loopback(start): true, loopback(start + 2): true}
	for i := range 2 * (freeBlockSize - 2) {
		f := &one
		if i%2 == 1 {
			f = &other
		}
		addr, err := f.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] {
			t.Fatalf("%s was given out twice, or is in use", addr)
		}
		seen[addr] = true
	}
}
