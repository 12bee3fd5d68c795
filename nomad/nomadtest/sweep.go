package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	dirPrefix   = "nomadtest-"    // of temporary data directories
	lockName    = "lock"          // in each data directory, locked while its cluster lives
	dirVariable = "NOMADTEST_DIR" // environment variable of every agent and what it started

	nameVariable = "NOMADTEST_NAME" // the same with the agent's name
)

// lockDir locks a data directory. The lock gets its name when it is held already, so that sweepStale never finds one
// that is just being made.
func lockDir(dir string) (*useLock, error) {
	path := filepath.Join(dir, lockName)
	lock := &useLock{path: path}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		lock.path = path + ".new"
	}
	if err := lock.own(); err != nil {
		return nil, fmt.Errorf("%s is in use: %w", dir, err)
	}
	if lock.path == path {
		return lock, nil
	}
	if err := os.Rename(lock.path, path); err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	lock.path = path
	return lock, nil
}

// sweepStale ends what is left of clusters whose program was killed.
func sweepStale(ctx context.Context, docker *dockerAPI) error {
	locks, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*", lockName))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range locks {
		lock := &useLock{path: path}
		if lock.own() != nil {
			errs = append(errs, lock.release())
			continue
		}
		dir := filepath.Dir(path)
		errs = append(errs, sweep(ctx, docker, dir), os.RemoveAll(dir), lock.release())
	}
	return errors.Join(errs...)
}

// sweep ends the processes, containers and mounts that belong to a data directory. The agents themselves have ended,
// or are ended now.
func sweep(ctx context.Context, docker *dockerAPI, dir string) error {
	if err := killMarked(ctx, dirMark(dir)); err != nil {
		return err
	}
	dataDirs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	for _, dataDir := range dataDirs {
		ids, err := allocIDs(dataDir)
		if err != nil {
			return err
		}
		if err := docker.removeContainers(ctx, ids); err != nil {
			return err
		}
	}
	return unmountUnder(dir)
}

// dirMark is what all processes of a cluster have in their environment, nameMark what those of one agent have.
func dirMark(dir string) string { return dirVariable + "=" + dir }

func nameMark(name string) string { return nameVariable + "=" + name }

// killMarked kills every process that carries the marks in its environment, until there are none.
func killMarked(ctx context.Context, marks ...string) error {
	return poll(ctx, func(context.Context) error {
		pids, err := markedPIDs(marks...)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("killing process %d: %w", pid, err)
			}
		}
		if len(pids) > 0 {
			return fmt.Errorf("processes %v do not end", pids)
		}
		return nil
	})
}

// markedPIDs are the processes with all of the marks in their environment. Zombies have none.
func markedPIDs(marks ...string) ([]int, error) {
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range environs {
		data, err := os.ReadFile(path)
		if err != nil || !hasAll(strings.Split(string(data), "\x00"), marks) {
			continue // it has ended, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func hasAll(environ, marks []string) bool {
	for _, mark := range marks {
		if !slices.Contains(environ, mark) {
			return false
		}
	}
	return true
}

// mountsUnder are the mount points below a directory, the last mounted first.
func mountsUnder(dir string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line) // the fifth is the mount point, with blanks as \040
		if len(fields) < 5 {
			continue
		}
		point := strings.ReplaceAll(fields[4], `\040`, " ")
		if strings.HasPrefix(point, dir+"/") {
			mounts = append(mounts, point)
		}
	}
	slices.Reverse(mounts)
	return mounts, nil
}

// unmountUnder unmounts what Nomad mounted for its tasks: the tmpfs of their secrets, among others.
func unmountUnder(dir string) error {
	mounts, err := mountsUnder(dir)
	if err != nil {
		return fmt.Errorf("finding mounts: %w", err)
	}
	for _, point := range mounts {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", point, err)
		}
	}
	return nil
}
