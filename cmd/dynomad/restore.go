package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dynomad/dynomad/store"
)

// restoreOptions are what is restored and where.
type restoreOptions struct {
	DataDir string
	File    string
	Force   bool // set what is there aside
}

func restoreCommand(ctx context.Context, getenv func(string) string) *cobra.Command {
	o := restoreOptions{DataDir: defaultConfig().DataDir}
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database, while the daemon does not run",
		Long: "Put FILE, which \"dynomad backup\" made, into the data folder. The daemon must not run. FILE is checked first, and that the\n" +
			"folder's secret.key, or the one in FILE, is the one that it needs. A database that is there is replaced with --force\n" +
			"only, and then kept beside the new one.\n\n" +
			"What changed since the backup is undone when the daemon starts: its apps run as they did then. Apps made since run on\n" +
			"and are reported by GET /readyz; \"dynomad rebuild\" takes them in.",
		Args: cobra.ExactArgs(1),
	}
	settings := dataDirFlag(cmd, &o.DataDir)
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace the database that is there, and keep it beside the new one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := fromEnvironment(settings, getenv); err != nil {
			return err
		}
		o.File = args[0]
		return restore(ctx, o, cmd.OutOrStdout())
	}
	return cmd
}

// restore puts a backup into the data folder and says what is in it. Nothing there is touched before all of the backup is checked.
func restore(ctx context.Context, o restoreOptions, out io.Writer) (err error) {
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	release, err := lockDataDir(o.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	database := filepath.Join(o.DataDir, databaseFile)
	there, err := exists(database)
	if err != nil {
		return err
	}
	if there && !o.Force {
		return fmt.Errorf("%s exists; --force replaces it and keeps it beside the new one", database)
	}
	temp, err := os.MkdirTemp(o.DataDir, ".restore-") // mode 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // a left-over is harmless
	packedKey, err := unpack(o.File, temp)
	if err != nil {
		return err
	}
	newKey, err := o.checkKeys(temp, packedKey)
	if err != nil {
		return err
	}
	contents, err := o.check(ctx, temp, packedKey)
	if err != nil {
		return err
	}
	aside := time.Now().UTC().Format(".before-restore-20060102T150405.000Z")
	kept, err := o.install(temp, aside, newKey)
	if err != nil {
		return fmt.Errorf("putting the backup in place: %w", err)
	}
	o.report(out, contents, kept)
	return nil
}

// checkKeys tells whether the backup's own key is to be put into the folder. One that is there and another is only replaced by
// force: it may open another database.
func (o restoreOptions) checkKeys(temp string, packed bool) (install bool, err error) {
	path := filepath.Join(o.DataDir, keyFile)
	own, err := store.ReadKey(path)
	missing := errors.Is(err, os.ErrNotExist)
	switch {
	case missing && !packed:
		return false, fmt.Errorf("%s is not there, and without the key that belongs to the backup its config vars cannot be read: "+
			"put it there first, with mode 0600; if it is lost, \"dynomad rebuild\" in an empty data folder reads what runs from Nomad", path)
	case missing:
		return true, nil
	case err != nil && (!packed || !o.Force):
		return false, err
	case !packed:
		return false, nil
	}
	theirs, err := store.ReadKey(filepath.Join(temp, keyFile))
	if err != nil {
		return false, fmt.Errorf("the key in the backup: %w", err)
	}
	if bytes.Equal(own, theirs) {
		return false, nil
	}
	if !o.Force {
		return false, fmt.Errorf("%s is another key than the backup's; --force replaces it and keeps it beside the new one", path)
	}
	return true, nil
}

// check refuses a backup that no daemon of this version could run on.
func (o restoreOptions) check(ctx context.Context, temp string, packedKey bool) (store.Contents, error) {
	keyPath := filepath.Join(o.DataDir, keyFile)
	if packedKey {
		keyPath = filepath.Join(temp, keyFile)
	}
	key, err := store.ReadKey(keyPath)
	if err != nil {
		return store.Contents{}, err
	}
	c, err := store.Inspect(ctx, filepath.Join(temp, databaseFile), key)
	switch {
	case err != nil:
		return c, fmt.Errorf("the backup %s cannot be used: %w", o.File, err)
	case c.Newer():
		return c, fmt.Errorf("the backup %s has schema %d, made by a newer dynomad; this one knows schemas up to %d: restore it with the newer version", o.File, c.Schema, c.Newest)
	case !c.KeyFits:
		return c, fmt.Errorf("the key in %s is not the one that the backup's config vars were encrypted with: put the right one there and restore again", filepath.Join(o.DataDir, keyFile))
	}
	return c, nil
}

// install moves the checked files into place, and what was there aside. It gives the names of what was kept.
func (o restoreOptions) install(temp, aside string, newKey bool) (kept []string, err error) {
	names := []string{databaseFile}
	if newKey {
		names = append(names, keyFile)
	}
	for _, name := range names {
		path := filepath.Join(o.DataDir, name)
		moved, err := setAside(path, path+aside)
		if err != nil {
			return kept, err
		}
		kept = append(kept, moved...)
		if err := place(filepath.Join(temp, name), path, true); err != nil {
			return kept, err
		}
		if err := giveToOwner(o.DataDir, append(moved, path)...); err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// setAside keeps a file, if there is one, under another name as well, so that there is one at every instant. What SQLite has beside
// a database goes with it, even if it is all that is left: a write-ahead log that stayed would be taken for the new one's. It
// gives the names of what was kept.
func setAside(path, aside string) (kept []string, err error) {
	err = os.Link(path, aside)
	if err != nil && noLinks(err) {
		err = os.Rename(path, aside)
	}
	if err == nil {
		kept = append(kept, aside)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) { // is made anew of the log
		return kept, err
	}
	err = os.Rename(path+"-wal", aside+"-wal")
	switch {
	case err == nil:
		kept = append(kept, aside+"-wal")
	case !errors.Is(err, os.ErrNotExist):
		return kept, err
	}
	return kept, nil
}

func (o restoreOptions) report(out io.Writer, c store.Contents, kept []string) {
	say(out, "Restored %s from %s: %s.\n", filepath.Join(o.DataDir, databaseFile), o.File, describe(c))
	if c.Schema < c.Newest {
		say(out, "It is brought to schema %d when the daemon starts.\n", c.Newest)
	}
	if c.Locked > 0 {
		say(out, "WARNING: %d of its %d encrypted values cannot be decrypted with the key: the apps that they are of will not be served.\n", c.Locked, c.Sealed)
	}
	for _, path := range kept {
		say(out, "What was there is kept as %s.\n", path)
	}
	say(out, "When the daemon starts, its apps are brought to what they were at the backup. Apps made since run on and are named by\n"+
		"GET /readyz; \"dynomad rebuild\" takes them in. Apps deleted since come back, and tokens revoked since are valid again.\n")
}
