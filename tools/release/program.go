package main

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
)

// The program is one static file: it has SQLite in it, which is C, and so the C library too. Names are then looked up by Go
// itself, and SQLite loads no extensions.
const (
	tags    = "netgo,osusergo,sqlite_omit_load_extension"
	ldflags = "-s -w -buildid= -linkmode=external -extldflags=-static -X main.version="
)

// programPath is where the program lies in the package and in the image.
const programPath = "/usr/bin/dynomad"

func (r *release) programFile() string { return "dynomad-" + r.version + "-linux-amd64" }

// program builds the program, has it write its manual pages and completions, and sees that it is static.
func (r *release) program(ctx context.Context) error {
	built := filepath.Join(r.out, r.programFile())
	r.made = append(r.made, r.programFile())
	// What is set here for other builds would change the bytes.
	env := []string{"CGO_ENABLED=1", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=", "CGO_CFLAGS=-O2", "CGO_LDFLAGS="}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags=" + tags, "-ldflags=" + ldflags + r.version, "-o", built, "./cmd/dynomad"}
	if _, err := tool(ctx, r.root, env, "go", args...); err != nil {
		return err
	}
	if err := checkStatic(built); err != nil {
		return err
	}
	if err := r.copyIn(built, programPath, 0o755); err != nil {
		return err
	}
	return r.documents(ctx, built)
}

// checkStatic refuses a program that needs a loader: it would run on some machines and in no empty image.
func checkStatic(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static: libc6-dev must have libc.a", path)
		}
	}
	return nil
}

// documents has the program write what it knows of itself.
func (r *release) documents(ctx context.Context, program string) error {
	pages := filepath.Join(r.stage, "usr/share/man/man1")
	dated := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.when.Unix())} // the pages bear a date
	if _, err := tool(ctx, r.stage, dated, program, "man", pages); err != nil {
		return err
	}
	if err := compressAll(pages); err != nil {
		return err
	}
	for shell, path := range map[string]string{
		"bash": "/usr/share/bash-completion/completions/dynomad",
		"zsh":  "/usr/share/zsh/vendor-completions/_dynomad",
		"fish": "/usr/share/fish/vendor_completions.d/dynomad.fish",
	} {
		text, err := tool(ctx, r.stage, nil, program, "completion", shell)
		if err != nil {
			return err
		}
		if err := r.put(path, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// put writes a file of the package.
func (r *release) put(path string, mode os.FileMode, data []byte) error {
	path = filepath.Join(r.stage, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // everybody may read it
		return err
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode) // whatever the umask
}

// copyIn makes a file a file of the package.
func (r *release) copyIn(from, path string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return r.put(path, mode, data)
}
