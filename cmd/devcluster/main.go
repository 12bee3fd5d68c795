// Command devcluster runs a whole cluster with the daemon and a sample app on this machine, for development. It is
// behind "make dev" and is not shipped.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C kills: the kernel then ends the agents, the next start sweeps up
	if err := newCommand(os.Getenv, os.Stdout).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}
