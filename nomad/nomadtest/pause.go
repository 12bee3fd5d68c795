package nomadtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Pause freezes the process (SIGSTOP): its connections stay open, and nothing answers. It returns when every thread has
// stopped; the signal alone is on its way for a while.
func (p *Process) Pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	cmd, _ := p.current()
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return poll(ctx, func(context.Context) error { return stopped(cmd.Process.Pid) })
}

// stopped is an error while a thread of a process runs. In /proc/…/stat the state follows the name in parentheses (proc(5)).
func stopped(pid int) error {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return permanentError{err}
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // that thread has just ended
		}
		_, state, _ := strings.Cut(string(text), ") ")
		if state != "" && !strings.Contains("TtZX", state[:1]) {
			return fmt.Errorf("a thread of process %d is in state %s", pid, state[:1])
		}
	}
	return nil
}
