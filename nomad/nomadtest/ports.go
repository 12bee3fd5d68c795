package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from blocks below the kernel's range for outgoing connections (32768 and up on Linux), so that no
// connection can sit on a port between our picking it and an agent's listening. The first port of a block is held
// open while the cluster lives, as a sign to others that the block is taken.
const (
	firstBlock   = 20000 // the first port of the first block
	blockSize    = 500   // ports of a block
	blocks       = 24
	agentPorts   = 20 // of a block, for Ports
	morePorts    = 20 // of a block after those, for further agents; the rest is for allocations
	loopbackAddr = "127.0.0.1"
)

// errPortTaken is a fixed port that something else listens on.
var errPortTaken = errors.New("port is taken")

// reservePorts fills the ports that are 0 from a free block. The listener holds the block and is closed to give it up.
func reservePorts(ctx context.Context, want Ports) (Ports, net.Listener, error) {
	if err := checkFixed(ctx, want); err != nil {
		return want, nil, err
	}
	for _, i := range rand.Perm(blocks) {
		start := firstBlock + i*blockSize
		held, err := listenLoopback(ctx, start)
		if err != nil {
			continue
		}
		ports, err := fillPorts(ctx, want, start)
		if err == nil {
			return ports, held, nil
		}
		if err := held.Close(); err != nil {
			return want, nil, fmt.Errorf("giving up ports: %w", err)
		}
	}
	return want, nil, fmt.Errorf("picking ports: no free block between %d and %d", firstBlock, firstBlock+blocks*blockSize)
}

func checkFixed(ctx context.Context, want Ports) error {
	for _, port := range want.fields() {
		if *port != 0 && !portFree(ctx, *port) {
			return fmt.Errorf("%w: %d", errPortTaken, *port)
		}
	}
	return nil
}

func fillPorts(ctx context.Context, want Ports, start int) (Ports, error) {
	next := start + 1
	for _, port := range want.fields() {
		for *port == 0 {
			if next >= start+agentPorts {
				return want, errors.New("block is crowded")
			}
			if portFree(ctx, next) {
				*port = next
			}
			next++
		}
	}
	if want.DynamicMin == 0 {
		want.DynamicMin, want.DynamicMax = start+agentPorts+morePorts, start+blockSize-1
	}
	return want, nil
}

// pickMore picks n further free ports of the block that held holds.
func pickMore(ctx context.Context, held net.Listener, n int) ([]int, error) {
	_, text, err := net.SplitHostPort(held.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("picking ports: %w", err)
	}
	start, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("picking ports: %w", err)
	}
	var more []int
	for port := start + agentPorts; len(more) < n; port++ {
		if port >= start+agentPorts+morePorts {
			return nil, errors.New("picking ports: the block is crowded")
		}
		if portFree(ctx, port) {
			more = append(more, port)
		}
	}
	return more, nil
}

// fields are the agents' ports, to be read or filled in.
func (p *Ports) fields() []*int {
	return []*int{
		&p.NomadHTTP, &p.NomadRPC, &p.NomadSerf,
		&p.ConsulHTTP, &p.ConsulRPC, &p.ConsulSerf,
		&p.Router, &p.RouterAPI,
	}
}

func portFree(ctx context.Context, port int) bool {
	l, err := listenLoopback(ctx, port)
	return err == nil && l.Close() == nil
}

func listenLoopback(ctx context.Context, port int) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", loopback(port))
}

// loopback is the address of a port on this machine.
func loopback(port int) string { return net.JoinHostPort(loopbackAddr, strconv.Itoa(port)) }
