package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dynomad/dynomad/nomad/consul"
)

// Two daemons must not work for one installation. On one data folder, the kernel keeps the second out; on a copy of it, a lock
// in Consul does.

// releaseTime bounds the release of the lock in Consul.
const releaseTime = 2 * time.Second

// lockFolder keeps a second daemon off the data folder. The lock goes with the process, however it ends. The file beside it is
// for the message only.
func (a *app) lockFolder() error {
	file := filepath.Join(a.config.DataDir, lockFile)
	folder, err := flock(a.config.DataDir)
	if errors.Is(err, errLocked) {
		return fmt.Errorf("%w: %s", err, folderHolder(file))
	}
	if err != nil {
		return err
	}
	a.onClose("data folder", func(context.Context) error { return folder.Close() })
	if a.holder, err = holderOf(folder, a.config.DataDir); err != nil {
		return err
	}
	text, err := json.Marshal(a.holder)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("writing to the data folder: %w", err)
	}
	return nil
}

// folderHolder reads who holds a data folder.
func folderHolder(file string) consul.Holder {
	var h consul.Holder
	if text, err := os.ReadFile(file); err == nil { //nolint:gosec // a fixed name in the data folder
		_ = json.Unmarshal(text, &h) // half written: an unknown process
	}
	return h
}

// holderOf tells of this process on its data folder. The folder is told from a copy by its inode.
func holderOf(folder *os.File, path string) (consul.Holder, error) {
	host, err := os.Hostname()
	if err != nil {
		return consul.Holder{}, fmt.Errorf("asking for the name of this host: %w", err)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(folder.Fd()), &stat); err != nil {
		return consul.Holder{}, fmt.Errorf("looking at the data folder: %w", err)
	}
	return consul.Holder{
		Host: host, PID: os.Getpid(), Started: now(), DataDir: path, Inode: fmt.Sprintf("%d:%d", stat.Dev, stat.Ino),
	}, nil
}

// lockInstallation takes the installation for this daemon alone. It fails if another has it; while Consul does not answer the
// daemon starts, and the loop writes nothing until the lock is held.
func (a *app) lockInstallation(ctx context.Context) error {
	a.lock = a.consul.NewLock(consul.LockKey(a.installation), a.holder, a.log.Named("lock"))
	a.onClose("lock", a.releaseLock)
	err := a.lock.Acquire(ctx)
	var held *consul.HeldError
	if errors.As(err, &held) {
		return fmt.Errorf("another dynomad runs the installation %s: %s; stop that one first (of one that was killed, the lock ends within %s)",
			a.installation, held.Holder, consul.LockGone)
	}
	return nil // what else went wrong is logged, and tried again
}

// releaseLock lets the next daemon start at once. Without Consul it has to wait, which is no failure of this one.
func (a *app) releaseLock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	if err := a.lock.Release(ctx); err != nil {
		a.log.Warn("cannot release the lock of this installation", "error", err)
	}
	return nil
}

// ready tells of each part "ok" or what is wrong with it.
func (a *app) ready(ctx context.Context) map[string]string {
	parts := a.monitor.ready(ctx)
	parts["lock"] = a.lock.State()
	return parts
}
