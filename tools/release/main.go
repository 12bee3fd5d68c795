// Command release makes what is published of Dynomad, into one folder: the program, a Debian package, a container image, a list
// of what the program is made of, and the sums of them all. The same commit and the same toolchain give the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release: "+err.Error())
		stop()
		os.Exit(1)
	}
}

// release is one release in the making.
type release struct {
	root    string // of the repository
	out     string // where it goes
	version string // as the program tells it
	when    time.Time
	stage   string // what goes into the package, as it will lie there; temporary

	made []string // names in out
}

func run(ctx context.Context, args []string) error {
	r := &release{}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.root, "root", "../..", "the repository")
	flags.StringVar(&r.out, "out", "../../dist", "where to put it")
	flags.StringVar(&r.version, "version", "", "the version, as git describe tells it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	defer os.RemoveAll(r.stage) //nolint:errcheck // a temporary folder
	for _, step := range []struct {
		name string
		make func(context.Context) error
	}{
		{"the program", r.program},
		{"the list of its parts", r.sbom},
		{"the Debian package", r.debian},
		{"the container image", r.image},
		{"the sums", r.sums},
	} {
		if err := step.make(ctx); err != nil {
			return fmt.Errorf("making %s: %w", step.name, err)
		}
	}
	return nil
}

// prepare empties the folder of an earlier release and finds out what time the files are of.
func (r *release) prepare(ctx context.Context) error {
	if !validVersion(r.version) {
		return fmt.Errorf("-version %q has other characters than letters, digits, dots, dashes and pluses", r.version)
	}
	var err error
	if r.when, err = r.time(ctx); err != nil {
		return err
	}
	for _, path := range []*string{&r.root, &r.out} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if err := r.clean(); err != nil {
		return err
	}
	r.stage, err = os.MkdirTemp("", "dynomad-release-")
	return err
}

// clean removes what an earlier release has put there, and nothing else.
func (r *release) clean() error {
	if err := os.MkdirAll(r.out, 0o755); err != nil { //nolint:gosec // everybody may read it
		return err
	}
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, "dynomad-") || strings.HasPrefix(name, "dynomad_") || name == sumsFile {
			if err := os.Remove(filepath.Join(r.out, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// time is the one that all files bear: SOURCE_DATE_EPOCH, else that of the commit.
func (r *release) time(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "-C", r.root, "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("asking git for the time of the commit (without git, set SOURCE_DATE_EPOCH): %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time of the release: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// create opens a file of the release, which the sums will name.
func (r *release) create(name string) (*os.File, error) {
	r.made = append(r.made, name)
	return os.Create(filepath.Join(r.out, name))
}

// tool runs a command and gives what it says.
func tool(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}
