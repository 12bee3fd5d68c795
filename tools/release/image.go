package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// imageUser runs the daemon in the container: nobody else on the machine has this number.
const imageUser = 65532

// dataDir is the daemon's folder in the image; a volume belongs there.
const dataDir = "/var/lib/dynomad"

// image makes a container image without a registry or a Docker: the program and the few files that it reads, as a tar for
// docker load.
func (r *release) image(context.Context) error {
	layer, err := r.layer()
	if err != nil {
		return err
	}
	base, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	image, err := mutate.ConfigFile(base, r.imageConfig(base))
	if err != nil {
		return err
	}
	tag, err := name.NewTag("dynomad:" + imageTag(r.version))
	if err != nil {
		return err
	}
	file, err := r.create("dynomad-" + r.version + "-image-amd64.tar")
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // closed below, too
	if err := tarball.Write(tag, image, file); err != nil {
		return err
	}
	return file.Close()
}

// imageConfig says how the image is run, with the layers that it has.
func (r *release) imageConfig(base v1.Image) *v1.ConfigFile {
	config := &v1.ConfigFile{
		Architecture: "amd64", OS: "linux", Created: v1.Time{Time: r.when},
		Config: v1.Config{
			Entrypoint: []string{programPath}, Cmd: []string{"server"}, User: "65532:65532", WorkingDir: "/",
			Env:          []string{"PATH=/usr/bin", "DYNOMAD_DATA_DIR=" + dataDir},
			ExposedPorts: map[string]struct{}{"5000/tcp": {}},
			Labels: map[string]string{
				"org.opencontainers.image.title":    "dynomad",
				"org.opencontainers.image.version":  r.version,
				"org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
		History: []v1.History{{Created: v1.Time{Time: r.when}, CreatedBy: "tools/release"}},
	}
	if old, err := base.ConfigFile(); err == nil {
		config.RootFS = old.RootFS
	}
	return config
}

func (r *release) layer() (v1.Layer, error) {
	data, err := r.layerTar()
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
}

// layerTar has all that the program needs of a system: users, where names are looked up, certificates of authorities, a
// folder for temporary files, and its own.
func (r *release) layerTar() ([]byte, error) {
	program, err := os.ReadFile(filepath.Join(r.stage, programPath))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	t := &layerWriter{tar: tar.NewWriter(&out), release: r}
	for _, dir := range []string{"etc", "etc/ssl", "etc/ssl/certs", "usr", "usr/bin", "var", "var/lib"} {
		t.dir(dir, 0o755, 0)
	}
	t.dir("tmp", 0o1777, 0)
	t.dir(dataDir[1:], 0o700, imageUser)
	t.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\ndynomad:x:65532:65532:dynomad:"+dataDir+":/sbin/nologin\n"))
	t.file("etc/group", 0o644, []byte("root:x:0:\ndynomad:x:65532:\n"))
	t.file("etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n"))
	t.file("etc/ssl/certs/ca-certificates.crt", 0o644, authorities())
	t.file(programPath[1:], 0o755, program)
	if t.err != nil {
		return nil, t.err
	}
	return out.Bytes(), t.tar.Close()
}

// authorities are those that Mozilla trusts, as a module has them: the same on every machine that builds this. Those that are
// only trusted for some certificates cannot be told so in a file, and are left out.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes all
		}
	}
	return text.Bytes()
}

// layerWriter writes a tar until something goes wrong.
type layerWriter struct {
	tar     *tar.Writer
	release *release
	err     error
}

func (w *layerWriter) dir(path string, mode int64, owner int) {
	w.write(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: mode, Uid: owner, Gid: owner}, nil)
}

func (w *layerWriter) file(path string, mode int64, data []byte) {
	w.write(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(data))}, data)
}

func (w *layerWriter) write(header *tar.Header, data []byte) {
	if w.err != nil {
		return
	}
	header.ModTime, header.Format = w.release.when, tar.FormatPAX
	if w.err = w.tar.WriteHeader(header); w.err == nil {
		_, w.err = w.tar.Write(data)
	}
}
