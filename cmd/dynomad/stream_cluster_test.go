//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/client/stream"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// attachedRun is a one-off dyno that is to be attached to.
type attachedRun struct {
	runDyno
	AttachURL string `json:"attach_url"`
}

// runAttached runs a dyno that is to be attached to.
func (d *daemon) runAttached(app, command string, ttl int) attachedRun {
	d.tb.Helper()
	var y attachedRun
	body := fmt.Sprintf(`{"command":%q,"attach":true,"size":"gp1","time_to_live":%d}`, command, ttl)
	d.do(http.MethodPost, "/apps/"+app+"/dynos", body, http.StatusCreated, &y)
	return y
}

// terminal is a client that is attached to a dyno.
type terminal struct {
	tb    testing.TB
	stdin *io.PipeWriter
	sizes chan stream.TerminalSize
	out   *nomadtest.Output
	cut   context.CancelFunc // cuts the connection off without a word
	done  chan struct{}
	code  int // once done
	err   error
}

// open attaches a client to a dyno.
func (d *daemon) open(y attachedRun, tty bool) *terminal {
	return d.openAs(y.AttachURL, stream.Terminal{TTY: tty})
}

// openAs attaches a client as it wishes.
func (d *daemon) openAs(attachURL string, wish stream.Terminal) *terminal {
	ctx, cut := context.WithCancel(d.tb.Context())
	reader, writer := io.Pipe()
	t := &terminal{tb: d.tb, stdin: writer, sizes: make(chan stream.TerminalSize, 1), out: &nomadtest.Output{}, cut: cut, done: make(chan struct{})}
	t.sizes <- stream.TerminalSize{Height: 33, Width: 111}
	go func() {
		defer close(t.done)
		defer reader.Close() //nolint:errcheck // never fails
		wish.Sizes, wish.Stdin, wish.Stdout, wish.Stderr = t.sizes, reader, t.out, t.out
		t.code, t.err = stream.Talk(ctx, attachURL, wish)
	}()
	return t
}

func (t *terminal) say(text string) {
	if _, err := io.WriteString(t.stdin, text); err != nil {
		t.tb.Errorf("saying %.20q: %v", text, err)
	}
}

// hear waits until something was put out.
func (t *terminal) hear(text string) {
	t.tb.Helper()
	nomadtest.Eventually(t.tb, time.Minute, func(context.Context) error {
		select {
		case <-t.done:
			return fmt.Errorf("ended with %d, %w, after %q", t.code, t.err, t.out)
		default:
		}
		if !strings.Contains(t.out.String(), text) {
			return fmt.Errorf("there is no %q in %q", text, t.out)
		}
		return nil
	})
}

// ends waits for the end, and checks it: by an exit code, or else by what the client is told.
func (t *terminal) ends(code int, message string) {
	t.tb.Helper()
	select {
	case <-t.done:
	case <-time.After(time.Minute):
		t.tb.Errorf("it did not end after %q", t.out)
		return
	}
	switch {
	case message == "" && (t.code != code || t.err != nil):
		t.tb.Errorf("it ended with %d, %v, want %d; it said %.200q", t.code, t.err, code, t.out)
	case message != "" && (t.err == nil || !strings.Contains(t.err.Error(), message)):
		t.tb.Errorf("it ended with %d, %v, want %q", t.code, t.err, message)
	}
}

// attachedEnds waits until a dyno has ended, and checks what its record says. Of its container nothing is left, and its job does not run.
func (d *daemon) attachedEnds(app string, y attachedRun, code int, info string) {
	d.tb.Helper()
	now := d.waitRun(app, y.runDyno, time.Minute, "stopped", "start-failure")
	if now.exit() != code || !strings.Contains(now.AdditionalInfo, info) {
		d.tb.Errorf("%s ended %s with %d, %q; want %d, %q", y.Name, now.State, now.exit(), now.AdditionalInfo, code, info)
	}
	alloc := path.Base(now.NomadURL)
	nomadtest.Eventually(d.tb, time.Minute, func(context.Context) error {
		if alloc == "." || !strings.Contains(d.docker(d.tb, "ps", "--no-trunc", "--format", "{{.Names}}"), alloc) {
			return nil
		}
		return fmt.Errorf("the container of %s runs on", y.Name)
	})
	nomadtest.Eventually(d.tb, time.Minute, func(ctx context.Context) error {
		options := &api.QueryOptions{Prefix: app + "_" + strings.ReplaceAll(y.Name, ".", "_")}
		jobs, _, err := d.cluster.NomadClient().Jobs().List(options.WithContext(ctx))
		for _, job := range jobs {
			if job.Status != "dead" {
				err = fmt.Errorf("the job %s of %s is %s", job.ID, y.Name, job.Status)
			}
		}
		return err
	})
}

// TestCluster_attached attaches to dynos in every way, beside each other.
func TestCluster_attached(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("attached")
	var all sync.WaitGroup
	for _, part := range []func(*testing.T, *daemon, string){
		attachedTerminal, attachedBytes, attachedQuick, attachedCut, attachedStopped, attachedTimeIsOver, attachedNoShell,
	} {
		all.Go(func() { part(t, d, app) })
	}
	all.Wait()
	d.once(app)
}

func attachedTerminal(t *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "sh", 600)
	c := d.open(y, true)
	c.say("tty; stty size; echo $COLOR-$DYNO-$TERM\n")
	c.hear("/dev/pts/")
	c.hear("\r\n33 111\r\n")
	c.hear("blue-" + y.Name + "-xterm")
	c.sizes <- stream.TerminalSize{Height: 44, Width: 122}
	c.say("until [ \"$(stty size)\" = '44 122' ]; do :; done; echo res''ized\n")
	c.hear("resized")
	if now := d.waitRun(app, y.runDyno, time.Second, "running"); now.ExitCode != nil {
		t.Errorf("while it runs it is %+v", now)
	}
	var refused *stream.Error
	if _, err := stream.Talk(t.Context(), y.AttachURL, stream.Terminal{}); !errors.As(err, &refused) || refused.ID != "unauthorized" {
		t.Errorf("the secret a second time: %v", err)
	}
	c.say("exit 5\n")
	c.ends(5, "")
	d.attachedEnds(app, y, 5, "Its command ended with exit code 5.")
}

// attachedBytes sends every byte there is through a command that has no terminal.
func attachedBytes(t *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "cat", 600)
	c := d.open(y, false)
	all := make([]byte, 1<<20)
	for i := range all {
		all[i] = byte(i * i >> 8 * 31)
	}
	c.say(string(all))
	_ = c.stdin.Close()
	c.ends(0, "")
	if c.out.String() != string(all) {
		t.Errorf("%d bytes came back, want the %d that were sent", len(c.out.String()), len(all))
	}
	d.attachedEnds(app, y, 0, "")
}

// attachedQuick has commands that say all at once, with and without a terminal.
func attachedQuick(t *testing.T, d *daemon, app string) {
	for i := range 4 {
		y := d.runAttached(app, "sh -c 'echo x; exit 3'", 600)
		c := d.open(y, i%2 == 0)
		c.ends(3, "")
		if got := strings.ReplaceAll(c.out.String(), "\r", ""); got != "x\n" {
			t.Errorf("it said %q", got)
		}
	}
}

func attachedCut(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "sh", 600)
	c := d.open(y, true)
	c.say("trap '' HUP TERM INT; sleep 601 & echo be''gun; sleep 602\n")
	c.hear("begun")
	c.cut()
	d.attachedEnds(app, y, -1, "Its client's connection was lost.")
}

func attachedStopped(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "cat", 600)
	c := d.open(y, true)
	c.say("hello\n")
	c.hear("hello\r\nhello\r\n")
	d.do(http.MethodPost, "/apps/"+app+"/dynos/"+y.Name+"/actions/stop", "", http.StatusAccepted, nil)
	c.ends(0, "It was stopped by request.")
	d.attachedEnds(app, y, -1, "It was stopped by request.")
}

func attachedTimeIsOver(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "cat", 5)
	d.open(y, true).ends(0, "Its time to live of 5s is over.")
	d.attachedEnds(app, y, -1, "Its time to live of 5s is over.")
}

// attachedNoShell attaches to an image that has nothing but its program.
func attachedNoShell(t *testing.T, d *daemon, app string) {
	var y attachedRun
	d.do(http.MethodPost, "/apps/"+app+"/dynos", `{"command":"sh","attach":true,"size":"gp1","image":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, &y)
	d.open(y, true).ends(0, "The dyno "+y.Name+" has ended. It could not start: the image has no sleep")
	d.attachedEnds(app, y, -1, "the image has no sleep")
}

// TestCluster_attachedDaemonEnds ends daemons under their clients, with and without warning: nothing runs on, and it is said why.
func TestCluster_attachedDaemonEnds(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("orphans")
	y, nobody := d.runAttached(app, "sh", 600), d.runAttached(app, "sh", 600)
	c := d.open(y, true)
	c.say("echo be''gun\n")
	c.hear("begun")
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.ends(0, "the connection to the dyno was lost")
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, y := range []attachedRun{y, nobody} {
		d.attachedEnds(app, y, -1, "The daemon was started anew, and its client lost the connection.")
	}

	y = d.runAttached(app, "sh", 600)
	alone := d.runAttached(app, aloneThen("sleep 605"), 600)
	c = d.open(y, true)
	c.say("trap '' HUP; echo be''gun; sleep 600\n")
	c.hear("begun")
	d.lose(app, alone)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if err := d.process.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the daemon took %s to stop", took)
	}
	c.ends(0, "The daemon was stopped.")
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, y := range []attachedRun{y, alone} {
		d.attachedEnds(app, y, -1, "The daemon was stopped.")
	}
	if n := d.audits(app, "dyno.stop"); n != 4 {
		t.Errorf("%d stops were recorded, want 4", n)
	}
}
