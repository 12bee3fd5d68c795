package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// tempBeside makes an empty file next to where it is to be moved, for its owner only. remove takes it away, with what SQLite
// may have left beside it, unless it was moved.
func tempBeside(path string) (temp string, remove func(), err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", nil, err
	}
	temp = f.Name()
	remove = func() {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			_ = os.Remove(temp + suffix) // a left-over is harmless
		}
	}
	if err := f.Close(); err != nil {
		remove()
		return "", nil, err
	}
	return temp, remove, nil
}

// place moves a finished file to where it belongs. Unless over is set, a file that is there stays, and that is an error.
func place(temp, path string, over bool) error {
	if !over {
		err := os.Link(temp, path)
		switch {
		case err == nil:
			return errors.Join(os.Remove(temp), syncDir(filepath.Dir(path)))
		case errors.Is(err, os.ErrExist):
			return existsError(path)
		case !noLinks(err):
			return err
		}
		if _, err := os.Lstat(path); err == nil {
			return existsError(path)
		}
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// noLinks reports whether the file system has no hard links.
func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EMLINK)
}

func existsError(path string) error {
	return fmt.Errorf("%s exists already; --force replaces it", path)
}

// syncDir makes the names in a folder last.
func syncDir(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writeTo makes a file of a folder, for its owner only, and has it on the disk.
func writeTo(dir, name string, from io.Reader) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // a fixed name in a folder just made
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}
