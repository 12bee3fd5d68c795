//go:build integration

package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad/client/stream"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_attachedLost loses the clients of dynos, beside each other.
func TestCluster_attachedLost(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("lost")
	var all sync.WaitGroup
	for _, part := range []func(*testing.T, *daemon, string){lostSilent, lostKept, lostKeptShell, lostKeptStopped, lostKeptTimeIsOver} {
		all.Go(func() { part(t, d, app) })
	}
	all.Wait()
	d.once(app)
}

// lostSilent has a client fall silent that did not ask for its command to run on. The connection stays open.
func lostSilent(t *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "sh", 600)
	at, err := url.Parse(y.AttachURL)
	if err != nil {
		t.Fatal(err)
	}
	wire := wireTo(t, at.Host)
	at.Host = wire.Addr()
	c := d.openAs(at.String(), stream.Terminal{TTY: true})
	c.say("trap '' HUP TERM INT; sleep 601 & echo be''gun; sleep 602\n")
	c.hear("begun")
	wire.Forget()
	d.waitRun(app, y.runDyno, 2*time.Minute, "stopped")
	select {
	case <-c.done:
		t.Errorf("the connection did not stay open: %v", c.err)
	default:
	}
	d.attachedEnds(app, y, -1, "Nothing was heard of its client any more.")
	c.cut()
	<-c.done
}

// aloneThen is a command that writes all the while, more than anything on the way holds when its input is at its end, and then goes on.
func aloneThen(then string) string {
	return "sh -c 'trap \"\" HUP; while sleep 0.1; do echo x; done & cat; head -c 8388608 /dev/zero; touch /alloc/tmp/alone; " + then + "'"
}

// lose has a client talk with a dyno whose command runs on without it, and cuts it off. It waits until the command is alone.
func (d *daemon) lose(app string, y attachedRun) (container string) {
	d.tb.Helper()
	c := d.openAs(y.AttachURL, stream.Terminal{Keep: true})
	c.say("typed")
	c.hear("typed")
	c.cut()
	<-c.done
	alloc := path.Base(d.waitRun(app, y.runDyno, 10*time.Second, "running").NomadURL)
	container = d.docker(d.tb, "ps", "--quiet", "--filter", "label=com.hashicorp.nomad.alloc_id="+alloc)
	nomadtest.Eventually(d.tb, time.Minute, func(context.Context) error {
		if d.docker(d.tb, "exec", container, "sh", "-c", "[ ! -e /alloc/tmp/alone ] || echo alone") == "" {
			return errors.New(y.Name + " did not find the end of its input, or still waits for a reader")
		}
		return nil
	})
	return container
}

// lostKept has a command run on without its client, and end by itself when it is told to.
func lostKept(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, aloneThen("until [ -e /alloc/tmp/go ]; do sleep 0.1; done; exit 7"), 600)
	container := d.lose(app, y)
	if now := d.waitRun(app, y.runDyno, time.Second, "running"); now.ExitCode != nil {
		d.tb.Errorf("while it runs it is %+v", now)
	}
	d.docker(d.tb, "exec", container, "touch", "/alloc/tmp/go")
	d.attachedEnds(app, y, 7, "Its command ended with exit code 7.")
}

// lostKeptShell has a shell with a terminal find a ^D.
func lostKeptShell(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, "sh", 600)
	c := d.openAs(y.AttachURL, stream.Terminal{TTY: true, Keep: true})
	c.say("echo be''gun; (exit 9)\n")
	c.hear("begun")
	c.cut()
	d.attachedEnds(app, y, 9, "Its command ended with exit code 9.")
}

func lostKeptStopped(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, aloneThen("sleep 603"), 600)
	d.lose(app, y)
	d.do(http.MethodPost, "/apps/"+app+"/dynos/"+y.Name+"/actions/stop", "", http.StatusAccepted, nil)
	d.attachedEnds(app, y, -1, "It was stopped by request.")
}

func lostKeptTimeIsOver(_ *testing.T, d *daemon, app string) {
	y := d.runAttached(app, aloneThen("sleep 604"), 30)
	d.lose(app, y)
	d.attachedEnds(app, y, -1, "Its time to live of 30s is over.")
}
