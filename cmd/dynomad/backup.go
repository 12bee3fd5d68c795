package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/store"
)

// backupOptions are what a backup is made of and where.
type backupOptions struct {
	DataDir string
	File    string
	Force   bool // replace File
	WithKey bool // File is a tar with the key too
	Warn    io.Writer
}

func backupCommand(ctx context.Context, getenv func(string) string) *cobra.Command {
	o := backupOptions{DataDir: defaultConfig().DataDir}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database to a file, while the daemon runs or not",
		Long: "Copy the database of the data folder to FILE, as it is at one instant. The daemon may run and is not held up.\n" +
			"FILE is whole, checked and on the disk when the command succeeds, and is not there when it fails.\n\n" +
			"Config vars are encrypted in it. Without the data folder's secret.key they are lost: keep a copy of that file too,\n" +
			"apart from the backups. With --with-key FILE is a tar of both, which must be kept like the secrets that it opens.",
		Args: cobra.ExactArgs(1),
	}
	settings := dataDirFlag(cmd, &o.DataDir)
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace FILE if it exists")
	cmd.Flags().BoolVar(&o.WithKey, "with-key", false, "make FILE a tar of the database and secret.key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := fromEnvironment(settings, getenv); err != nil {
			return err
		}
		o.File = args[0]
		o.Warn = cmd.ErrOrStderr()
		return backup(ctx, o, cmd.OutOrStdout())
	}
	return cmd
}

// dataDirFlag adds --data-dir to a command, and gives it as the set of settings that may come from the environment.
func dataDirFlag(cmd *cobra.Command, dir *string) *pflag.FlagSet {
	settings := pflag.NewFlagSet("", pflag.ContinueOnError)
	settings.StringVar(dir, "data-dir", *dir, "folder of the database and the secret key (DYNOMAD_DATA_DIR)")
	cmd.Flags().AddFlagSet(settings)
	return settings
}

// backup makes a backup and says what is in it.
func backup(ctx context.Context, o backupOptions, out io.Writer) error {
	if err := o.checkFile(); err != nil {
		return err
	}
	temp, remove, err := tempBeside(o.File)
	if err != nil {
		return fmt.Errorf("making a file beside %s: %w", o.File, err)
	}
	defer remove()
	database, keyPath := filepath.Join(o.DataDir, databaseFile), filepath.Join(o.DataDir, keyFile)
	if err := store.Backup(ctx, database, temp); err != nil {
		return err
	}
	key, keyErr := store.ReadKey(keyPath)
	contents, err := store.Inspect(ctx, temp, key)
	if err != nil {
		return err
	}
	if keyErr == nil && !contents.KeyFits && !contents.Newer() {
		keyErr = fmt.Errorf("%s is not the key that the database's config vars were encrypted with", keyPath)
	}
	if o.WithKey {
		if keyErr != nil {
			return keyErr
		}
		packed, removePacked, err := packBeside(o.File, temp, keyPath)
		if err != nil {
			return fmt.Errorf("packing database and key: %w", err)
		}
		defer removePacked()
		temp = packed
	}
	info, err := os.Stat(temp)
	if err != nil {
		return err
	}
	if err := place(temp, o.File, o.Force); err != nil {
		return err
	}
	say(out, "Backed up %s to %s: %s, %d KiB.\n", database, o.File, describe(contents), (info.Size()+1023)/1024)
	o.sayKey(out, keyPath, keyErr)
	return nil
}

// sayKey says what becomes of the config vars without the key.
func (o backupOptions) sayKey(out io.Writer, keyPath string, keyErr error) {
	switch {
	case o.WithKey:
		say(out, "It holds the key: whoever can read it can read every config var. Keep it where only you can.\n")
	case keyErr != nil:
		say(o.Warn, "WARNING: without the key its config vars are lost: %v.\n", keyErr)
	default:
		say(out, "Its config vars are encrypted, and the key is not in it: keep a copy of %s as well, apart from the backups.\n", keyPath)
	}
}

// checkFile refuses what must not be overwritten, before anything is read. A file in the data folder would be one of the daemon's,
// or be lost with them.
func (o backupOptions) checkFile() error {
	dir, err := os.Stat(filepath.Dir(o.File))
	if err != nil {
		return fmt.Errorf("the backup's folder: %w", err)
	}
	data, err := os.Stat(o.DataDir)
	if err != nil {
		return fmt.Errorf("the data folder: %w", err)
	}
	if os.SameFile(dir, data) {
		return fmt.Errorf("%s is in the data folder, where a backup would be lost with the database: choose another folder", o.File)
	}
	info, err := os.Lstat(o.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", o.File)
	case !o.Force:
		return existsError(o.File)
	}
	return nil
}

// describe says what a database has.
func describe(c store.Contents) string {
	return fmt.Sprintf("%s of the installation %s, schema %d", counted(c.Apps, "app"), c.Installation, c.Schema)
}

// counted writes a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// say writes to the user; that nobody can be told is not worth failing for.
func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, format, args...)
}
