package nomadtest

import (
	"context"
	_ "embed" // for reaper.sh
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// dockerLock is locked, shared, by every user of a Docker at the standard socket. It names the directory of the one
// that nomadtest started, and is empty if Docker was there before.
const dockerLock = "/run/nomadtest-docker.lock"

const dockerDirPrefix = "nomadtest-docker-" // of temporary directories of the Dockers that nomadtest starts

//go:embed reaper.sh
var reaperScript string

// useLock is a lock on a file that the holder of its exclusive lock may remove.
type useLock struct {
	path string
	file *os.File
}

// share takes the shared lock, or turns the exclusive one into it. It does not wait.
func (l *useLock) share() error { return l.flock(syscall.LOCK_SH) }

// own takes the exclusive lock, or turns the shared one into it. It does not wait.
func (l *useLock) own() error { return l.flock(syscall.LOCK_EX) }

func (l *useLock) flock(how int) error {
	if l.file == nil {
		file, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return permanentError{fmt.Errorf("opening lock: %w", err)}
		}
		l.file = file
	}
	if err := syscall.Flock(int(l.file.Fd()), how|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("locking %s: %w", l.path, err)
	}
	if !sameFile(l.file, l.path) {
		return errors.Join(errors.New("lock was removed meanwhile"), l.release())
	}
	return nil
}

func sameFile(file *os.File, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(held, now)
}

// describe writes what the lock is about; the exclusive lock is held.
func (l *useLock) describe(what string) error {
	_, err := l.file.WriteAt([]byte(what), 0)
	if err := errors.Join(err, l.file.Truncate(int64(len(what)))); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	return nil
}

func (l *useLock) release() error {
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}

// hostBefore is what Docker changes on the machine and does not put back.
type hostBefore struct {
	hadBridge     bool
	forwardPolicy string // of iptables' FORWARD chain
}

// hostNow looks at the machine before Docker starts.
func hostNow(ctx context.Context) hostBefore {
	_, err := net.InterfaceByName("docker0")
	before := hostBefore{hadBridge: err == nil, forwardPolicy: "ACCEPT"}
	rules, err := exec.CommandContext(ctx, "iptables", "-S", "FORWARD").Output()
	if err == nil && strings.HasPrefix(string(rules), "-P FORWARD DROP") {
		before.forwardPolicy = "DROP"
	}
	return before
}

// record writes down what reaper.sh puts back, in the directory of the daemon that is about to start.
func (b hostBefore) record(dir string) error {
	bridge := "no"
	if b.hadBridge {
		bridge = "yes"
	}
	return os.WriteFile(filepath.Join(dir, "before"), []byte(bridge+" "+b.forwardPolicy+"\n"), 0o600)
}

// startReaper starts reaper.sh in a session of its own: it has to outlive us, however we end.
func startReaper(ctx context.Context, lock, dir string) error {
	cmd := reaper(context.WithoutCancel(ctx), lock, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the reaper: %w", err)
	}
	go func() { _ = cmd.Wait() }() // leaves no zombie; its exit code says nothing
	return nil
}

func reaper(ctx context.Context, lock, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", reaperScript, "nomadtest-reaper", lock, dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Dir = "/"
	return cmd
}

// sweepDockers clears away what is left of Docker daemons that were killed together with their reapers: containers
// whose addresses the next daemon would give away again, and their mounts. The exclusive lock on dockerLock is held,
// and no Docker answers, so that none of the directories is in use.
func sweepDockers(ctx context.Context, tempDir string) error {
	dirs, err := filepath.Glob(filepath.Join(tempDir, dockerDirPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock := filepath.Join(dir, "reaper.lock")
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			return fmt.Errorf("clearing away a killed Docker: %w", err)
		}
		if out, err := reaper(ctx, lock, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("clearing away what a killed Docker left in %s: %w: %s", dir, err, out)
		}
	}
	return nil
}

// awaitReaper returns when the Docker we gave up has ended, has other users, or was never ours.
func awaitReaper(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return poll(ctx, func(context.Context) error {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the reaper's last act
		}
		if err != nil {
			return permanentError{err}
		}
		return probeReaper(path, info.Size() > 0)
	})
}

// probeReaper finds out who holds the lock: nobody yet, other users, or the reaper.
func probeReaper(path string, ours bool) error {
	probe := &useLock{path: path}
	if probe.own() == nil {
		if !ours {
			return errors.Join(os.Remove(path), probe.release())
		}
		return errors.Join(errors.New("the reaper has not begun"), probe.release())
	}
	shared := probe.share()
	if err := probe.release(); err != nil {
		return err
	}
	if shared != nil {
		return errors.New("the reaper is still at work")
	}
	return nil // other users
}
