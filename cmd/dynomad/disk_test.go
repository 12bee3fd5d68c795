package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// disk is a small ext4 of a test's own.
type disk struct {
	t     *testing.T
	image string
	path  string // where it is mounted
}

func newDisk(t *testing.T, mib int64) *disk {
	t.Helper()
	if onCluster {
		t.Skip("a part of make unit")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a disk")
	}
	dir := t.TempDir()
	d := &disk{t: t, image: filepath.Join(dir, "image"), path: filepath.Join(dir, "disk")}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, mib<<20), os.Mkdir(d.path, 0o700)); err != nil {
		t.Fatal(err)
	}
	d.must("mkfs.ext4", "-q", "-m", "0", d.image)
	d.mount()
	t.Cleanup(func() { // after the end of what uses it, which was started later
		if err := syscall.Unmount(d.path, 0); err != nil && !errors.Is(err, syscall.EINVAL) {
			t.Errorf("unmounting: %v", errors.Join(err, syscall.Unmount(d.path, syscall.MNT_DETACH)))
		}
	})
	return d
}

func (d *disk) mount() {
	d.t.Helper()
	if out, err := d.run("mount", "-o", "loop", d.image, d.path); err != nil {
		if strings.Contains(out, "permission denied") || strings.Contains(out, "failed to setup loop device") {
			d.t.Skipf("this machine lets root mount no disk: %s", out)
		}
		d.t.Fatalf("mount: %v %s", err, out)
	}
}

func (d *disk) unmount() {
	d.t.Helper()
	if err := syscall.Unmount(d.path, 0); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) run(name string, args ...string) (string, error) {
	out, err := exec.CommandContext(context.WithoutCancel(d.t.Context()), name, args...).CombinedOutput()
	return string(out), err
}

func (d *disk) must(name string, args ...string) {
	d.t.Helper()
	if out, err := d.run(name, args...); err != nil {
		d.t.Fatalf("%s: %v %s", name, err, out)
	}
}

// fill takes all the room that is left, and gives what gives it back.
func (d *disk) fill() (free func()) {
	d.t.Helper()
	path := filepath.Join(d.path, "filler")
	f, err := os.Create(path)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, size := range []int{1 << 20, 4 << 10, 1 << 10} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			d.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			d.t.Error(err)
		}
	}
}

// TestDisk_full fills the disk of the data folder: writes are refused with the reason, reads go on, also those of a daemon that is killed
// and started meanwhile; when there is room again it goes on by itself, and nothing that was acknowledged is lost.
func TestDisk_full(t *testing.T) {
	t.Parallel()
	d := newDisk(t, 24)
	data := filepath.Join(d.path, "data")
	a := newAlone(t, data)
	a.start()
	k := newKeeper(a)
	if !k.write("") {
		t.Fatal("refused with room on the disk")
	}
	free := d.fill()
	k.untilRefused("is full")
	k.intact()
	k.kill()
	k.start()
	k.intact()
	k.untilRefused("is full")
	free()
	for range 20 {
		if !k.write("") {
			t.Fatal("refused with room on the disk")
		}
	}
	k.add("")
	k.intactWhole(data)
	k.stop()
	k.start()
	k.intact()
	t.Logf("%d writes refused, %d releases acknowledged", k.refused, k.acked.Releases)
}

// TestDisk_readOnly makes the database's files read-only below the daemon, and then writable again.
func TestDisk_readOnly(t *testing.T) {
	t.Parallel()
	d := newDisk(t, 24)
	data := filepath.Join(d.path, "data")
	a := newAlone(t, data)
	a.start()
	k := newKeeper(a)
	k.write("")
	files := []string{filepath.Join(data, databaseFile), filepath.Join(data, databaseFile+"-wal")}
	d.must("chattr", append([]string{"+i"}, files...)...)
	t.Cleanup(func() { _, _ = d.run("chattr", append([]string{"-i"}, files...)...) })
	k.untilRefused("read-only")
	k.intact()
	d.must("chattr", append([]string{"-i"}, files...)...)
	for range 5 {
		if !k.write("") {
			t.Fatal("refused with writable files")
		}
	}
	k.intactWhole(data)
}

// TestDisk_givenUp has the kernel give the disk up, as it does after errors of the hardware: it is read-only until it is mounted anew.
// The daemon goes on reading. Started on such a disk it says so.
func TestDisk_givenUp(t *testing.T) {
	t.Parallel()
	d := newDisk(t, 24)
	data := filepath.Join(d.path, "data")
	a := newAlone(t, data)
	a.start()
	k := newKeeper(a)
	k.write("")
	d.must("sync", "-f", d.path)
	_, _ = d.run("mount", "-o", "remount,abort", d.path) // ends with an error, since the disk is given up
	if f, err := os.Create(filepath.Join(d.path, "x")); err == nil {
		t.Fatal(errors.Join(errors.New("the disk was not given up"), f.Close()))
	}
	k.untilRefused("read-only")
	k.intact()
	k.kill()
	if said := k.refuses(); !strings.Contains(said, "read-only") {
		t.Errorf("on a disk that is read-only it says: %s", said)
	}
	d.unmount()
	d.mount()
	k.start()
	k.intactWhole(data)
	k.write("")
	k.intact()
}
