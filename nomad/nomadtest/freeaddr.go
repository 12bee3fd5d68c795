package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Addresses for what tests start themselves come from blocks below those of the clusters, for the same reason: the kernel gives out
// none of these ports by itself. It does give a port it has just given back a second time, to the next test that asks it for a free one
// while the first one's daemon has not come to listen yet.
const (
	firstFree     = 12000 // the first port of the first block
	freeBlockSize = 400
	freeBlocks    = 20
)

var free freePorts

// freePorts gives out the ports of a block, each in turn.
type freePorts struct {
	mu   sync.Mutex
	held net.Listener // on the block's first port, a sign to other programs that the block is taken; open as long as this program runs
	next int          // the offset in the block of the port to try next
}

// FreeAddr gives a loopback address (host:port) that nothing listens on, and that no other caller is given, in this program or another
// one, before some 400 others were.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	addr, err := free.take(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return addr
}

func (f *freePorts) take(ctx context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	start, err := f.block(ctx)
	if err != nil {
		return "", err
	}
	for range freeBlockSize - 1 {
		port := start + 1 + f.next
		f.next = (f.next + 1) % (freeBlockSize - 1)
		if portFree(ctx, port) {
			return loopback(port), nil
		}
	}
	return "", errors.New("picking a port: the block is crowded")
}

// block gives the first port of the block that this program holds, and takes one the first time.
func (f *freePorts) block(ctx context.Context) (int, error) {
	for _, i := range rand.Perm(freeBlocks) {
		if f.held != nil {
			break
		}
		f.held, _ = listenLoopback(ctx, firstFree+i*freeBlockSize) // else somebody has the block
	}
	if f.held == nil {
		return 0, fmt.Errorf("picking a port: no free block between %d and %d", firstFree, firstFree+freeBlocks*freeBlockSize)
	}
	addr, _ := f.held.Addr().(*net.TCPAddr)
	return addr.Port, nil
}
