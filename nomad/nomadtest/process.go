package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyWithin = 60 * time.Second // how long a part may take until it is ready
	stopWithin  = 15 * time.Second // how long a part may take to end after SIGTERM
)

// errEnded is a process that ended before it was ready.
var errEnded = errors.New("ended before it was ready")

// Command is how a Process is started, the same each time.
type Command struct {
	Name  string
	Path  string
	Args  []string
	Env   []string
	Dir   string
	Log   string                      // file that gets stdout and stderr, appended to
	Ready func(context.Context) error // returns nil when the process is of use; it is asked again and again

	outlivesUs bool // the kernel does not kill it when the program that started it dies
}

// Process is one part of the cluster, or the program under test. It can be ended and started again with the same ports and data.
//
// It is the leader of a process group of its own, so a Ctrl-C in a terminal does not reach it. The kernel kills it
// when the program that started it dies (Pdeathsig). Linux ties that to the *thread* that forked, and Go ends threads
// as it likes: so each process is started, and waited for, by a goroutine that keeps its thread to itself until the
// process has ended.
type Process struct {
	command Command

	mu   sync.Mutex // guards the fields below
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended

	killed []time.Time // when Kill has ended it, each time
}

// StartProcess starts a program, for example the daemon under test, and returns when it is ready. If that fails,
// nothing is left running. The caller ends it with Stop or Kill.
func StartProcess(ctx context.Context, command Command) (*Process, error) {
	p := &Process{command: command}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Name is the part's name: docker, consul, nomad or traefik.
func (p *Process) Name() string { return p.command.Name }

// LogPath is the file that has what the process printed, over all its starts.
func (p *Process) LogPath() string { return p.command.Log }

// PID is the id of the process, or of the last one if it has ended.
func (p *Process) PID() int {
	cmd, _ := p.current()
	return cmd.Process.Pid
}

// Done is closed when the process has ended. After a Restart there is a new one.
func (p *Process) Done() <-chan struct{} {
	_, done := p.current()
	return done
}

// Running says whether the process has not ended. A paused process is running.
func (p *Process) Running() bool {
	_, done := p.current()
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// started says whether the process was ever started.
func (p *Process) started() bool {
	cmd, _ := p.current()
	return cmd != nil
}

// Kill ends the process with SIGKILL, and returns when it is gone. Its children stay, as they would in an accident.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	_, done := p.current()
	<-done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = append(p.killed, time.Now())
	return nil
}

// kills are the times at which Kill has ended the process.
func (p *Process) kills() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.killed)
}

// Stop asks the process to end (SIGTERM), and kills it if it takes longer than 15 seconds or ctx ends.
func (p *Process) Stop(ctx context.Context) error {
	if err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	_, done := p.current()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stopping %s: %w", p.command.Name, ctx.Err()), p.Kill())
	}
}

// Continue ends a Pause (SIGCONT).
func (p *Process) Continue() error { return p.signal(syscall.SIGCONT) }

// Restart starts the process again, after stopping it if it runs, and returns when it is ready.
func (p *Process) Restart(ctx context.Context) error {
	if p.Running() {
		if err := p.Stop(ctx); err != nil {
			return err
		}
	}
	return p.start(ctx)
}

// start starts the process and waits until it is ready. If it fails, no process is left.
func (p *Process) start(ctx context.Context) error {
	if err := p.spawn(ctx); err != nil {
		return fmt.Errorf("starting %s: %w", p.command.Name, err)
	}
	if err := p.awaitReady(ctx); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", p.command.Name, err), p.Kill())
	}
	return nil
}

func (p *Process) spawn(ctx context.Context) error {
	log, err := os.OpenFile(p.command.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.command.Path, p.command.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.command.Env, p.command.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: p.deathSignal()}

	started, done := make(chan error, 1), make(chan struct{})
	go runOnOwnThread(cmd, log, started, done)
	if err := <-started; err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, done
	return nil
}

// runOnOwnThread runs cmd to its end on a thread that lives as long, as Pdeathsig needs (see Process).
func runOnOwnThread(cmd *exec.Cmd, log *os.File, started chan<- error, done chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(done)
	defer log.Close() //nolint:errcheck // the child has the file open; ours was only to hand it over

	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // the exit code is in nobody's interest: parts are killed on purpose
	}
}

func (p *Process) deathSignal() syscall.Signal {
	if p.command.outlivesUs {
		return 0
	}
	return syscall.SIGKILL
}

func (p *Process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return poll(ctx, func(ctx context.Context) error {
		if !p.Running() {
			return permanentError{fmt.Errorf("%w: %s", errEnded, lastErrors(p.command.Log))}
		}
		return p.command.Ready(ctx)
	})
}

// addressTaken says whether the process's log shows that a port of it was in use.
func (p *Process) addressTaken() bool {
	return strings.Contains(lastLines(p.command.Log, 50), "address already in use")
}

func (p *Process) signal(s syscall.Signal) error {
	cmd, _ := p.current()
	if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to %s: %w", s, p.command.Name, err)
	}
	return nil
}

func (p *Process) current() (*exec.Cmd, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.done
}
