package nomad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// TestTalkOutput cuts what a wrapper says into pieces of every length.
func TestTalkOutput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, said, want string // M is the mark
		tty              bool
		pid, code        int
	}{
		{"terminal", "17\r\n24 80\r\nM\r\nhello\r\nM 5\r\n", "hello\r\n", true, 17, 5},
		{"no terminal", "17\nM\nhelloM 0\n", "hello", false, 17, 0},
		{"nothing said", "17\nM\nM 255\n", "", false, 17, 255},
		{"a terminal left raw", "9\r\n24 80\r\nM\r\nx\nM 130\n", "x\n", true, 9, 130},
		{"the beginning of the mark", "9\nM\n\x01\x01xy\x01M 1\nlater", "\x01\x01xy\x01", false, 9, 1},
		{"numbers and blank lines", "9\nM\n\n17\n\n M 1\n", "\n17\n\n ", false, 9, 1},
	}
	for _, tt := range tests {
		for length := 1; length <= len(tt.said)+30; length++ {
			var stdout, stderr bytes.Buffer
			o := newTalkOutput(tt.tty, &stdout, &stderr)
			said := []byte(strings.ReplaceAll(tt.said, "M", o.mark))
			for len(said) > 0 {
				n, err := o.stdout.Write(said[:min(length, len(said))])
				if err != nil {
					t.Fatal(err)
				}
				said = said[n:]
			}
			if !tt.tty {
				if isClosed(o.ended) {
					t.Errorf("%s: ended before both streams have", tt.name)
				}
				_, _ = fmt.Fprintf(o.stderr, "err%s %d\n", o.mark, tt.code)
			}
			if stdout.String() != tt.want || (stderr.String() != "err") != tt.tty || !isClosed(o.ended) || o.pid != tt.pid || o.code != tt.code {
				t.Errorf("%s, %d bytes a time: got %q, %q, ended %t, pid %d, code %d",
					tt.name, length, stdout.String(), stderr.String(), isClosed(o.ended), o.pid, o.code)
			}
		}
	}
}

// TestTalkOutput_atOnce checks that nothing waits for more that cannot be a mark's beginning, and where nothing began.
func TestTalkOutput_atOnce(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	o := newTalkOutput(true, &stdout, io.Discard)
	_, _ = fmt.Fprintf(o.stdout, "9\r\n%s\r\n$ ", o.mark)
	if got := stdout.String(); got != "$ " || !isClosed(o.ready) {
		t.Errorf("the prompt came as %q", got)
	}
	complaint := strings.Repeat("OCI runtime exec failed: no sh\r\n", 100)
	o = newTalkOutput(true, &stdout, io.Discard)
	_, _ = io.WriteString(o.stdout, complaint)
	if got := o.complaint(); got != complaint[:maxComplaint] || isClosed(o.begun) {
		t.Errorf("the complaint is %q", got)
	}
	lost := errors.New("the client is gone")
	o = newTalkOutput(true, writerFunc(func([]byte) (int, error) { return 0, lost }), io.Discard)
	if _, err := fmt.Fprintf(o.stdout, "9\r\n%s\r\n$ ", o.mark); !errors.Is(err, lost) {
		t.Errorf("a client that is gone gives %v", err)
	}
	if _, err := fmt.Fprint(o.stdout, "more"); err != nil || o.stdout.held != nil {
		t.Errorf("after it: %v, %q kept", err, o.stdout.held)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestTalker has this machine's own shell run commands without a terminal.
func TestTalker(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256<<10)
	for i := range all {
		all[i] = byte(i % 251)
	}
	tests := []struct {
		command        []string
		stdin          string
		stdout, stderr string
		code           int
	}{
		{[]string{"sh", "-c", "echo out; echo err >&2; exit 7"}, "", "out\n", "err\n", 7},
		{[]string{"printf", "%s|", "a b", "$HOME", "*", ""}, "", "a b|$HOME|*||", "", 0},
		{[]string{"cat"}, string(all), string(all), "", 0},
		{[]string{"sh", "-c", `echo "$DYNOMAD_MARK$DYNOMAD_ROWS$mark"`}, "", "\n", "", 0},
		{[]string{"sh", "-c", "kill -2 $PPID; sleep 0.05; echo still"}, "", "still\n", "", 0},
	}
	for _, tt := range tests {
		stdout, stderr, code := runTalker(t, tt.stdin, tt.command)
		if diff := cmp.Diff([]any{tt.stdout, tt.stderr, tt.code}, []any{stdout, stderr, code}); diff != "" {
			t.Errorf("%q: %s", tt.command, diff)
		}
	}
	if _, _, code := runTalker(t, "", []string{"sh", "-c", "kill -9 $$"}); code != 137 {
		t.Errorf("a command that was killed has the exit code %d", code)
	}
	for _, builtin := range []string{"exit", "no-such-program"} { // no words of the shell's
		if _, stderr, code := runTalker(t, "", []string{builtin, "5"}); code != 127 || !strings.Contains(stderr, "not found") {
			t.Errorf("%s: got %d, %q", builtin, code, stderr)
		}
	}
}

// runTalker runs a command in a wrapper as Talk does, and ends the wrapper.
func runTalker(t *testing.T, stdin string, command []string) (string, string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	o := newTalkOutput(false, &stdout, &stderr)
	in := &talk{out: o, terminal: dynomad.Terminal{Stdin: strings.NewReader(stdin)}, over: ctx.Done()}
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", talker, "sh", o.mark}, command...)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = o.stdout, o.stderr, time.Second
	pipe, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(pipe, in) // a command need not read all
		_ = pipe.Close()
	}()
	select {
	case <-o.ended:
	case <-ctx.Done():
		t.Errorf("%q did not end", command)
	}
	cancel()
	_ = cmd.Wait() // it was killed
	return stdout.String(), stderr.String(), o.code
}
