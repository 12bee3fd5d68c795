package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The files of the data folder.
const (
	databaseFile = "dynomad.db"
	keyFile      = "secret.key"
	lockFile     = "lock" // who has the folder, for messages
)

// lockDataDir takes the data folder for this process alone. The lock is on the folder itself and goes with the process, or with
// release.
func lockDataDir(dir string) (release func() error, err error) {
	folder, err := flock(dir)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%w: %s", err, folderHolder(filepath.Join(dir, lockFile)))
	}
	if err != nil {
		return nil, err
	}
	return folder.Close, nil
}

// errLocked is a data folder that another process has.
var errLocked = errors.New("another dynomad runs on the data folder")

// flock opens a folder and locks it, until it is closed or the process ends.
func flock(dir string) (*os.File, error) {
	folder, err := os.Open(dir) //nolint:gosec // the operator's data folder
	if err != nil {
		return nil, fmt.Errorf("opening the data folder: %w", err)
	}
	err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = fmt.Errorf("%w %s", errLocked, dir)
	case err != nil:
		err = fmt.Errorf("locking the data folder %s: %w", dir, err)
	default:
		return folder, nil
	}
	return nil, errors.Join(err, folder.Close())
}

// giveToOwner gives files that root has made to the owner of their data folder, who runs the daemon. Others make their own.
func giveToOwner(dir string, paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("giving %s to the owner of %s: %w", path, dir, err)
		}
	}
	return nil
}
