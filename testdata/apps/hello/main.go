// Command hello is the sample app of tests and of "make dev": a web server, and in its subcommands the processes that
// misbehave in every way a platform has to cope with.
//
//	hello                   serve HTTP on $PORT (default 8080)
//	hello worker            print a line a second
//	hello crash CODE        end at once with an exit code
//	hello lines RATE N      print N lines, RATE a second, each with its number and the time, then stay; 0 is as fast as it can
//	hello silent            run and never listen
//	hello sock              try to reach the unix socket $SOCK, and serve the result at /
//	hello oom               take memory until killed
//	hello ANYTHING ELSE     serve, as without arguments
//
// All but crash end with 0 at SIGTERM.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run runs a subcommand and returns the exit code.
func run(ctx context.Context, args []string) int {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch name {
	case "worker":
		return work(ctx)
	case "crash":
		return crash(args[1:])
	case "lines":
		return lines(ctx, args[1:])
	case "silent":
		fmt.Println("running, not listening")
		<-ctx.Done()
		return 0
	case "sock":
		return serve(ctx, newProber(ctx))
	case "oom":
		return takeMemory(ctx)
	}
	return serve(ctx, newWeb())
}

func work(ctx context.Context) int {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 1; ; n++ {
		fmt.Printf("%s: %s tick %d\n", os.Getenv("DYNO"), os.Getenv("DYNOMAD_RELEASE"), n)
		select {
		case <-ctx.Done():
			fmt.Println("asked to end")
			return 0
		case <-ticker.C:
		}
	}
}

func crash(args []string) int {
	code := 1
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			code = n
		}
	}
	fmt.Fprintf(os.Stderr, "crashing with exit code %d\n", code)
	return code
}

// lines prints lines at a rate, every tenth on stderr. A rate of 0 is as fast as they are taken.
func lines(ctx context.Context, args []string) int {
	if len(args) != 2 {
		return 2
	}
	rate, errRate := strconv.Atoi(args[0])
	count, errCount := strconv.Atoi(args[1])
	if errRate != nil || errCount != nil || rate < 0 {
		return 2
	}
	start := time.Now()
	for n := 1; n <= count && ctx.Err() == nil; n++ {
		out := os.Stdout
		if n%10 == 0 {
			out = os.Stderr
		}
		fmt.Fprintf(out, "line %d at %d\n", n, time.Now().UnixNano())
		if rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		}
	}
	<-ctx.Done()
	return 0
}

// takeMemory takes 8 MiB every 20 ms, and writes to all of it so that it counts.
func takeMemory(ctx context.Context) int {
	var taken [][]byte
	for ctx.Err() == nil {
		block := make([]byte, 8<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		taken = append(taken, block)
		fmt.Printf("took %d MiB\n", 8*len(taken))
		time.Sleep(20 * time.Millisecond)
	}
	return 0
}
