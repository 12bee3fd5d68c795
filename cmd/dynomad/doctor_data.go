package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dynomad/dynomad/store"
)

// leastFree is the least room that the data folder's disk should have, in bytes.
const leastFree = 200 << 20

// checkDataFolder checks the folder, who has it, and what is in it.
func (d *doctor) checkDataFolder(ctx context.Context) {
	dir := d.config.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.checkNoFolder(dir)
		return
	case err != nil:
		d.wrong("data folder", "let the daemon's user read it", "%s cannot be looked at: %s.", dir, reason(err))
		return
	case !info.IsDir():
		d.wrong("data folder", "name another with DYNOMAD_DATA_DIR", "%s is no folder.", dir)
		return
	}
	good := d.checkWritable(dir) && d.checkPrivate(dir, info)
	free := freeBytes(dir)
	if free < leastFree {
		good = false
		d.wrong("data folder", "make room: writes fail when it is full", "%s has %s left on its disk.", dir, megabytes(free))
	}
	if good {
		d.ok("data folder", "%s can be written, its secrets are its owner's alone, and %s are left.", dir, megabytes(free))
	}
	d.checkHolder(dir)
	d.checkDatabase(ctx, dir)
}

// checkNoFolder checks whether the daemon can make the folder.
func (d *doctor) checkNoFolder(dir string) {
	parent := filepath.Dir(dir)
	for {
		if _, err := os.Stat(parent); !errors.Is(err, os.ErrNotExist) || parent == filepath.Dir(parent) {
			break
		}
		parent = filepath.Dir(parent)
	}
	if err := tryWrite(parent); err != nil {
		d.wrong("data folder", "make it, for the daemon's user, or name another with DYNOMAD_DATA_DIR",
			"%s does not exist and cannot be made: %s.", dir, reason(err))
	} else {
		d.ok("data folder", "%s does not exist yet; the daemon makes it.", dir)
	}
	d.skip("database", "There is no data folder yet.")
}

// tryWrite makes a file in a folder, and removes it.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".dynomad-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (d *doctor) checkWritable(dir string) bool {
	err := tryWrite(dir)
	if err == nil {
		return true
	}
	do := "give it to the daemon's user (chown), and mount its disk to be written"
	if errors.Is(err, syscall.ENOSPC) {
		do = "make room on its disk"
	}
	d.wrong("data folder", do, "%s cannot be written: %s.", dir, reason(err))
	return false
}

// checkPrivate wants nobody else to read the folder's secrets.
func (d *doctor) checkPrivate(dir string, info fs.FileInfo) bool {
	good := true
	if info.Mode().Perm()&0o022 != 0 {
		good = false
		d.wrong("data folder", "chmod 0700 "+dir, "Others may write to %s (mode %04o).", dir, info.Mode().Perm())
	}
	for _, name := range []string{keyFile, "root-token", databaseFile} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			good = false
			d.wrong("data folder", "chmod 0600 "+path, "Others may read %s (mode %04o).", path, info.Mode().Perm())
		}
	}
	return good
}

// checkHolder finds whether a daemon has the folder.
func (d *doctor) checkHolder(dir string) {
	release, err := lockDataDir(dir)
	switch {
	case errors.Is(err, errLocked):
		d.running = true
		d.ok("daemon", "A daemon has the data folder: %s.", folderHolder(filepath.Join(dir, lockFile)))
	case err != nil:
		d.wrong("daemon", "let the daemon's user read the folder", "%s.", reason(err))
	default:
		if err := release(); err != nil {
			d.wrong("daemon", "try again", "%s.", reason(err))
			return
		}
		d.ok("daemon", "No daemon has the data folder now.")
	}
}

// checkDatabase checks the database and the key that its secrets are encrypted with.
func (d *doctor) checkDatabase(ctx context.Context, dir string) {
	path := filepath.Join(dir, databaseFile)
	if there, err := exists(path); err == nil && !there {
		d.ok("database", "There is no database yet; the daemon makes it.")
		return
	}
	key, keyErr := store.ReadKey(filepath.Join(dir, keyFile))
	if keyErr != nil {
		d.wrong("key", "put back the secret.key that belongs to the database: docs/backup.md", "The key cannot be read: %s.", reason(keyErr))
	}
	contents, err := store.Inspect(ctx, path, key)
	if err != nil {
		d.wrong("database", "stop the daemon and restore a backup: docs/backup.md", "%s.", reason(err))
		return
	}
	d.installation = contents.Installation
	switch {
	case contents.Newer():
		d.wrong("database", "start the newer dynomad, or restore the backup made before it",
			"%s was made by a newer dynomad (schema %d; this one knows schemas up to %d).", path, contents.Schema, contents.Newest)
	case keyErr == nil && !contents.KeyFits:
		d.wrong("key", "put back the secret.key that belongs to the database: docs/backup.md", "The key is not the one of the database.")
	case contents.Locked > 0:
		d.wrong("key", "restore a backup whose key fits: docs/backup.md", "%s of %d encrypted cannot be opened.", counted(contents.Locked, "value"), contents.Sealed)
	case keyErr == nil:
		d.ok("database", "%s is intact, has %s, and its key fits (installation %s).", path, counted(contents.Apps, "app"), contents.Installation)
	}
}

// reason gives an error's text fit for the middle of a sentence.
func reason(err error) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(err.Error()), " "), ".")
}

func megabytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }
