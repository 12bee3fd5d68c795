package nomadtest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// contentLabel is a label of the images we build: a hash of what they were built from.
const contentLabel = "dynomad.nomadtest.content"

// Image builds the sample app testdata/apps/<name> unless it was built before, and returns its tag.
func (c *Cluster) Image(tb testing.TB, name string) string {
	tb.Helper()
	root, err := RepoRoot()
	if err != nil {
		tb.Fatal(err)
	}
	tag := "dynomad.local/" + name + ":1" // Nomad would try to pull "latest"
	if err := c.BuildImage(tb.Context(), tag, filepath.Join(root, "testdata", "apps", name)); err != nil {
		tb.Fatal(err)
	}
	return tag
}

// BuildImage builds the Dockerfile in dir, without a registry: it starts FROM scratch. Two files are put beside it:
// "app", the Go program in dir compiled to a static binary, if there is a main.go; and "busybox", the static one of
// this machine, if there is none. So is what prepare.sh, if dir has one, puts into the folder that it is given. A Docker that
// has the image from the same content is left as it is.
func (c *Cluster) BuildImage(ctx context.Context, tag, dir string) error {
	c.imagesMu.Lock()
	defer c.imagesMu.Unlock()
	key := tag + " " + dir
	if c.images[key] {
		return nil
	}
	if err := c.buildImage(ctx, tag, dir); err != nil {
		return fmt.Errorf("building image %s: %w", tag, err)
	}
	c.images[key] = true
	return nil
}

func (c *Cluster) buildImage(ctx context.Context, tag, dir string) error {
	archive, err := buildContext(ctx, dir)
	if err != nil {
		return err
	}
	content := fmt.Sprintf("%x", sha256.Sum256(archive))
	if have, err := c.engine.api.imageContent(ctx, tag); err != nil || have == content {
		return err
	}
	return c.engine.api.build(ctx, tag, content, archive)
}

// imageContent is the content label of an image, "" without one.
func (d *dockerAPI) imageContent(ctx context.Context, tag string) (string, error) {
	var image struct {
		Config struct{ Labels map[string]string }
	}
	err := d.call(ctx, http.MethodGet, "/images/"+tag+"/json", nil, &image)
	if isDockerStatus(err, http.StatusNotFound) {
		return "", nil
	}
	return image.Config.Labels[contentLabel], err
}

func (d *dockerAPI) build(ctx context.Context, tag, content string, archive []byte) error {
	query := url.Values{
		"t":       {tag},
		"labels":  {fmt.Sprintf("{%q:%q}", contentLabel, content)},
		"rm":      {"1"},
		"forcerm": {"1"},
		"version": {"1"}, // the builder that needs no session
	}
	body, err := d.open(ctx, http.MethodPost, "/build?"+query.Encode(), bytes.NewReader(archive))
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // read only
	for steps := json.NewDecoder(body); ; {
		var step struct{ Error string }
		err := steps.Decode(&step)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case step.Error != "":
			return errors.New(step.Error)
		}
	}
}

// buildContext is the tar that Docker builds from. The same files give the same bytes.
func buildContext(ctx context.Context, dir string) ([]byte, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	if err := addFiles(archive, dir); err != nil {
		return nil, err
	}
	if err := addPrepared(ctx, archive, dir); err != nil {
		return nil, err
	}
	name, program, err := extraProgram(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := addFile(archive, name, 0o755, program); err != nil {
		return nil, err
	}
	return out.Bytes(), archive.Close()
}

// addFiles adds the regular files under dir, in the order of their names.
func addFiles(archive *tar.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return addFile(archive, name, int64(info.Mode().Perm()), data)
	})
}

// addPrepared adds what dir's prepare.sh makes, if there is one.
func addPrepared(ctx context.Context, archive *tar.Writer, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "prepare.sh")); err != nil {
		return nil // there is none
	}
	made, err := os.MkdirTemp("", "nomadtest-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made) //nolint:errcheck // the directory for temporary files
	cmd := exec.CommandContext(ctx, "sh", "prepare.sh", made)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("prepare.sh: %w: %s", err, out)
	}
	return addFiles(archive, made)
}

func addFile(archive *tar.Writer, name string, mode int64, data []byte) error {
	header := &tar.Header{Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(data)
	return err
}

// extraProgram is the program that BuildImage puts beside the Dockerfile.
func extraProgram(ctx context.Context, dir string) (name string, program []byte, err error) {
	if _, err := os.Stat(filepath.Join(dir, "main.go")); err == nil {
		program, err := compile(ctx, dir)
		return "app", program, err
	}
	program, err = staticBusybox()
	return "busybox", program, err
}

// compile builds the Go program in dir into a binary that needs nothing but a kernel.
func compile(ctx context.Context, dir string) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "nomadtest-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // the directory for temporary files
	file := filepath.Join(tmp, "app")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	return os.ReadFile(file)
}

func staticBusybox() ([]byte, error) {
	const hint = "install it (Debian: apt-get install busybox-static)"
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, errors.New("busybox is missing: " + hint)
	}
	binary, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading busybox: %w", err)
	}
	defer binary.Close() //nolint:errcheck // read only
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("%s is not a static binary: %s", path, hint)
		}
	}
	return os.ReadFile(path)
}
