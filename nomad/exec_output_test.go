package nomad

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dynomad/dynomad"
)

// TestOutput gives outputs in parts of every size: what is ours is taken out, wherever it is cut.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, script := range []struct{ stdout, stderr string }{
		{"", ""},
		{"out\n", "err\n"},
		{"no end", "7\n"},
		{strings.Repeat("x", 5000), "MARK"},
		{"MARK 1\n", "looks like the MARK 3"},
	} {
		for size := 1; size < 70; size += 3 {
			o := newOutput(spoolLimits{memory: 100, total: 1 << 20}, nil, func(err error) { t.Error(err) })
			stdout := strings.ReplaceAll(script.stdout, "MARK", o.mark[:len(o.mark)-1])
			stderr := strings.ReplaceAll(script.stderr, "MARK", o.mark[:len(o.mark)-1])
			inParts(t, o.stdout, "1234\n"+stdout+o.mark+" 137\n", size)
			if _, ok := o.code(); ok || !o.hasBegun() || o.pid != 1234 {
				t.Errorf("after one stream: complete %t, begun %t, process %d", ok, o.hasBegun(), o.pid)
			}
			inParts(t, o.stderr, stderr+o.mark+" 137\n", size)
			if code, ok := o.code(); !ok || code != 137 {
				t.Errorf("%q in parts of %d: code %d, %t", script, size, code, ok)
			}
			if gotOut, gotErr := kept(t, o); gotOut != stdout || gotErr != stderr {
				t.Errorf("%q in parts of %d: got %q, %q", script, size, gotOut, gotErr)
			}
		}
	}
}

// TestOutput_withoutMarks has a wrapper that was ended, and one that never ran.
func TestOutput_withoutMarks(t *testing.T) {
	t.Parallel()
	o := newOutput(spoolLimits{memory: 100, total: 100}, nil, func(err error) { t.Error(err) })
	inParts(t, o.stdout, "1\ncut off "+o.mark[:5], 4)
	if _, ok := o.code(); ok {
		t.Error("complete without marks")
	}
	if stdout, _ := kept(t, o); stdout != "cut off "+o.mark[:5] {
		t.Errorf("got %q", stdout)
	}
	o = newOutput(spoolLimits{memory: 100, total: 100}, nil, func(err error) { t.Error(err) })
	inParts(t, o.stdout, "OCI runtime exec failed: no sh\r\n", 7)
	if stdout, stderr := kept(t, o); stdout != "" || stderr != "OCI runtime exec failed: no sh\r\n" || o.hasBegun() {
		t.Errorf("got %q, %q", stdout, stderr)
	}
}

// TestOutput_limits fills memory, file and what is allowed at all. No file has a name.
func TestOutput_limits(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var failure error
	o := newOutput(spoolLimits{memory: 1000, total: 5000}, nil, func(err error) { failure = err })
	inParts(t, o.stderr, strings.Repeat("e", 900), 100)
	if o.stderr.kept.file != nil {
		t.Error("900 bytes are in a file")
	}
	inParts(t, o.stdout, "1\n"+strings.Repeat("x", 4900), 100)
	if o.fromStdout.kept.file == nil || o.fromStdout.kept.memory.Cap() > 0 {
		t.Error("4900 bytes are in memory")
	}
	if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) > 0 {
		t.Errorf("there are files: %v, %v", left, err)
	}
	if _, err := o.stdout.Write([]byte(strings.Repeat("x", 200))); !errors.Is(err, errTooLong) || !errors.Is(failure, errTooLong) {
		t.Errorf("5100 bytes: %v, %v", err, failure)
	}
	file := o.fromStdout.kept.file
	o.discard()
	if _, err := file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is still open: %v", err)
	}
	if _, err := o.stdout.Write([]byte("late")); err != nil {
		t.Errorf("what comes late: %v", err)
	}
	t.Setenv("TMPDIR", dir+"/nowhere")
	o = newOutput(spoolLimits{memory: 10, total: 5000}, nil, func(err error) { failure = err })
	if _, err := o.stderr.Write([]byte(strings.Repeat("x", 200))); err == nil || !errors.Is(failure, os.ErrNotExist) {
		t.Errorf("without a folder for the file: %v, %v", err, failure)
	}
}

// kept reads all that an output has.
func kept(t *testing.T, o *output) (stdout, stderr string) {
	t.Helper()
	done, err := o.executed(0)
	if err != nil {
		t.Fatal(err)
	}
	defer done.Close()
	out, outErr := io.ReadAll(done.Stdout)
	text, textErr := io.ReadAll(done.Stderr)
	if err := errors.Join(outErr, textErr); err != nil {
		t.Fatal(err)
	}
	return string(out), string(text)
}

func inParts(t *testing.T, w io.Writer, text string, size int) {
	t.Helper()
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := w.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
}

// TestExecutor_full asks for more at once than is allowed: Nomad is not asked.
func TestExecutor_full(t *testing.T) {
	t.Parallel()
	e := NewExecutor(nil, nil)
	for range maxExecs {
		e.slots <- struct{}{}
	}
	if _, err := e.Exec(t.Context(), dynomad.Exec{}); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}
