package logs_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/logs"
)

func TestHub_joinsAndLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		w.write("web.1", "one", "two", "three")
		c := w.read(dynomad.LogOptions{Lines: 2, Tail: true})
		w.write("web.1", "four")
		synctest.Wait()
		w.scale("web.1", "web.2")
		w.write("web.2", "hello")
		time.Sleep(2 * time.Second)
		w.write("web.2", "bye")
		synctest.Wait()
		w.change(func() { w.ended["web.2"] = true; w.dynos[1].State = dynomad.StateStopped })
		time.Sleep(2 * time.Second)
		w.scale("web.1")
		w.write("web.1", "five")
		time.Sleep(2 * time.Second)
		c.want(t, "app[web.1]: two", "app[web.1]: three", "app[web.1]: four", "dynomad[web.2]: state is running", "app[web.2]: hello",
			"app[web.2]: bye", "dynomad[web.2]: state changed from running to stopped", "app[web.1]: five")
		if diff := cmp.Diff(map[string]int{"web.1": 1, "web.2": 1}, w.begun()); diff != "" {
			t.Errorf("followed (-want +got):\n%s", diff)
		}
		c.leave()
		time.Sleep(2 * time.Minute)
		if w.hub.Readers() != 0 || w.hub.Followed() != 0 {
			t.Errorf("%d readers, %d followed", w.hub.Readers(), w.hub.Followed())
		}
		if now, _ := w.followed(); now != 0 {
			t.Errorf("%d outputs are followed without a reader", now)
		}
	})
}

// TestHub_looksAgain reads what there is twice: the second time there is also what was written since, of dynos that were there and of new ones.
func TestHub_looksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		w.write("web.1", "one")
		w.read(dynomad.LogOptions{Lines: 10}).want(t, "app[web.1]: one")
		time.Sleep(10 * time.Second)
		w.write("web.1", "two")
		time.Sleep(time.Second)
		w.scale("web.1", "web.2")
		w.write("web.2", "hello")
		time.Sleep(10 * time.Second)
		w.read(dynomad.LogOptions{Lines: 10}).want(t, "app[web.1]: one", "app[web.1]: two", "dynomad[web.2]: state is running", "app[web.2]: hello")
	})
}

// TestHub_justBegun reads the lines of a dyno that began, and even ended, a moment before anybody read.
func TestHub_justBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		w.scale("web.1", "run.1001")
		w.write("run.1001", "hello")
		w.change(func() { w.ended["run.1001"] = true; w.dynos[1].State = dynomad.StateStopped })
		time.Sleep(time.Second)
		w.read(dynomad.LogOptions{Lines: 10}).want(t, "app[run.1001]: hello")
	})
}

// TestHub_justEnded reads, without tail, the lines of a dyno that has ended this moment: its last is on its way to Nomad's file.
func TestHub_justEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "run.1001")
		defer w.close()
		w.change(func() {
			w.ended["run.1001"], w.endedAt["run.1001"] = true, time.Now()
			w.dynos[0].State = dynomad.StateStopped
		})
		late := time.AfterFunc(300*time.Millisecond, func() { w.write("run.1001", "bye") })
		defer late.Stop()
		c := w.read(dynomad.LogOptions{Lines: 10})
		time.Sleep(time.Second)
		c.want(t, "app[run.1001]: bye")
	})
}

// TestHub_comesBack has dynos that have ended come back into the picture, as by an event of their allocations: nothing is told again, neither of one
// that was told, nor of one that had ended before anybody read.
func TestHub_comesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1", "web.3")
		defer w.close()
		w.write("web.3", "long ago")
		w.change(func() { w.whole, w.ended["web.3"] = true, true })
		w.scale("web.1")
		c := w.read(dynomad.LogOptions{Lines: 0, Tail: true, LogFilter: dynomad.LogFilter{Source: string(dynomad.LogApp)}})
		time.Sleep(2 * time.Second)
		w.scale("web.1", "web.2")
		w.write("web.2", "hello")
		time.Sleep(2 * time.Second)
		w.change(func() { w.ended["web.2"] = true; w.dynos[1].State = dynomad.StateStopped })
		time.Sleep(5 * time.Second)
		w.scale("web.1")
		time.Sleep(5 * time.Second)
		w.scale("web.1", "web.2", "web.3")
		time.Sleep(5 * time.Second)
		c.want(t, "app[web.2]: hello")
		c.leave()
	})
}

// TestHub_makesRoom reads one app after another with room for one: what nobody reads any more makes room.
func TestHub_makesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Followed: 1}, "web.1")
		defer w.close()
		w.read(dynomad.LogOptions{Lines: 10, Tail: true}).leave()
		if w.hub.Followed() != 1 {
			t.Fatalf("%d followed, want one for a while", w.hub.Followed())
		}
		c := w.readOf(dynomad.App{ID: "app-2"}, dynomad.LogOptions{Tail: true})
		time.Sleep(time.Second)
		w.write("web.1", "hello")
		c.want(t, "app[web.1]: hello")
		c.leave()
	})
}

// TestHub_readers has several read: each output is followed once, and each reader gets each line once and in order.
func TestHub_readers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1", "web.2", "worker.1")
		defer w.close()
		filters := []dynomad.LogFilter{{}, {Type: "web"}, {Dyno: "web.2"}, {Dyno: "worker"}, {Source: "heroku"}, {Dyno: "nobody.1"}, {Dyno: "id-web.1"}}
		var clients []*client
		for _, f := range filters {
			clients = append(clients, w.read(dynomad.LogOptions{LogFilter: f, Tail: true}))
		}
		want := make([]map[string][]string, len(filters))
		for i := range want {
			want[i] = map[string][]string{}
		}
		add := func(line string, clients ...int) {
			proc, _, _ := strings.Cut(line, ":")
			for _, i := range clients {
				want[i][proc] = append(want[i][proc], line)
			}
		}
		for i := range 2000 {
			text := fmt.Sprint(i)
			w.write("web.1", text)
			w.write("web.2", text)
			w.write("worker.1", text)
			add("app[web.1]: "+text, 0, 1, 6)
			add("app[web.2]: "+text, 0, 1, 2)
			add("app[worker.1]: "+text, 0, 3)
			if i%10 == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(5 * time.Second)
		w.audit("release.create", "Released v2.")
		time.Sleep(5 * time.Second)
		add("dynomad[release]: Released v2 by me@x", 0, 4)
		for i, c := range clients {
			got := map[string][]string{}
			for _, line := range c.texts() {
				proc, _, _ := strings.Cut(line, ":")
				got[proc] = append(got[proc], line)
			}
			if diff := cmp.Diff(want[i], got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", filters[i], diff)
			}
			c.leave()
		}
		if diff := cmp.Diff(map[string]int{"web.1": 1, "web.2": 1, "worker.1": 1}, w.begun()); diff != "" {
			t.Errorf("followed (-want +got):\n%s", diff)
		}
	})
}

// TestHub_resume goes on where a reader was, without loss and repetition, as long as the lines are kept.
func TestHub_resume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Lines: 10}, "web.1")
		defer w.close()
		first := w.read(dynomad.LogOptions{Tail: true})
		w.write("web.1", "a", "b")
		first.want(t, "app[web.1]: a", "app[web.1]: b")
		after := first.last()
		w.write("web.1", "c")
		synctest.Wait()
		first.leave()
		w.write("web.1", "d")
		w.scale("web.1", "web.2")
		w.write("web.2", "e")
		time.Sleep(50 * time.Second)
		second := w.read(dynomad.LogOptions{Tail: true, After: after, Lines: 100})
		time.Sleep(time.Second)
		texts := second.texts()
		slices.Sort(texts)
		want := []string{"app[web.1]: c", "app[web.1]: d", "app[web.2]: e", "dynomad[web.2]: state is running"}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Errorf("resumed (-want +got):\n%s", diff)
		}

		history := w.read(dynomad.LogOptions{After: second.last(), Lines: 100})
		history.want(t)
		w.write("web.1", strings.Split("0123456789ABC", "")...)
		synctest.Wait()
		lost := w.read(dynomad.LogOptions{Tail: true, After: after})
		if got := lost.texts(); len(got) != 1 || !strings.Contains(got[0], "may be missing") {
			t.Errorf("after what is no longer kept: %q", got)
		}
		second.leave()
		lost.leave()

		time.Sleep(2 * time.Minute) // nothing is kept any more
		third := w.read(dynomad.LogOptions{Tail: true, After: after})
		w.write("web.1", "f")
		time.Sleep(time.Second)
		if got := third.texts(); len(got) != 2 || !strings.Contains(got[0], "may be missing") || got[1] != "app[web.1]: f" {
			t.Errorf("after all was forgotten: %q", got)
		}
		for _, bad := range []string{"x", "ring2-", "ring2-99999", "ring2--1", "-", "ring2-99999999999999999999"} {
			c := w.read(dynomad.LogOptions{Tail: true, After: bad})
			if got := c.texts(); len(got) != 1 || !strings.Contains(got[0], "may be missing") {
				t.Errorf("after %q: %q", bad, got)
			}
			c.leave()
		}
		third.leave()
	})
}

// TestHub_slowReader reads too slowly: the reader is told, and nobody else notices.
func TestHub_slowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Bytes: 10_000}, "web.1")
		defer w.close()
		slow, err := w.hub.Open(shop, dynomad.LogOptions{Tail: true, Lines: 1})
		if err != nil {
			t.Fatal(err)
		}
		fast := w.read(dynomad.LogOptions{Tail: true})
		w.write("web.1", "first")
		synctest.Wait()
		if lines, err := slow.Next(t.Context()); err != nil || len(lines) != 1 {
			t.Fatalf("got %v, %v", lines, err)
		}
		for i := range 200 {
			w.write("web.1", strings.Repeat("x", i))
			synctest.Wait()
		}
		if n := len(fast.texts()); n != 201 {
			t.Errorf("the fast reader has %d lines, want 201", n)
		}
		lines, err := slow.Next(t.Context())
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0].Text, "too slowly") || lines[0].ID != "ring1-1" {
			t.Errorf("the slow reader gets %v, %v", lines, err)
		}
		if _, err := slow.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("… and then %v", err)
		}
		slow.Close()
		fast.leave()
	})
}

// TestHub_history shares lines that were there before fairly among dynos, and puts audits where they belong.
func TestHub_history(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1", "web.2")
		defer w.close()
		for i := range 50 {
			w.write("web.1", fmt.Sprint("a", i))
		}
		w.write("web.2", "b")
		w.audit("release.create", "Released v1: Deploy x:1.")
		c := w.read(dynomad.LogOptions{Lines: 6})
		c.want(t, "app[web.1]: a46", "app[web.1]: a47", "app[web.1]: a48", "app[web.1]: a49", "app[web.2]: b", "dynomad[release]: Released v1: Deploy x:1 by me@x")
		if !errors.Is(c.err, io.EOF) {
			t.Errorf("it ends with %v", c.err)
		}
		w.read(dynomad.LogOptions{}).want(t)
		tail := w.read(dynomad.LogOptions{Tail: true})
		w.write("web.1", "new")
		synctest.Wait()
		w.read(dynomad.LogOptions{Lines: 2, LogFilter: dynomad.LogFilter{Source: "app"}}).want(t, "app[web.2]: b", "app[web.1]: new")
		tail.leave()
	})
}

// TestHub_appGone ends the readers of an app that is deleted.
func TestHub_appGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		c := w.read(dynomad.LogOptions{Tail: true})
		w.change(func() { w.gone = true })
		<-c.done
		if !errors.Is(c.err, io.EOF) {
			t.Errorf("got %v", c.err)
		}
	})
}

// TestHub_limits bounds readers, followed outputs and what is kept.
func TestHub_limits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{Readers: 3, AppReaders: 2, Followed: 1, Feeds: 1}, "web.1", "web.2")
		defer w.close()
		one := w.read(dynomad.LogOptions{Tail: true, Lines: 10})
		two := w.read(dynomad.LogOptions{Tail: true})
		if _, err := w.hub.Open(shop, dynomad.LogOptions{}); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("the third reader of an app: %v", err)
		}
		other, err := w.hub.Open(dynomad.App{ID: "app-2"}, dynomad.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.hub.Open(dynomad.App{ID: "app-3"}, dynomad.LogOptions{}); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("the fourth reader: %v", err)
		}
		other.Close()
		time.Sleep(time.Second)
		if got := one.texts(); !strings.Contains(strings.Join(got, "\n"), "is not shown for now") {
			t.Errorf("readers are told %q", got)
		}
		w.write("web.1", "a")
		w.write("web.2", "b")
		synctest.Wait()
		w.change(func() { w.ended["web.1"], w.ended["web.2"] = true, true })
		time.Sleep(2 * time.Second)
		texts := one.texts()
		for _, want := range []string{"app[web.1]: a", "app[web.2]: b"} {
			if !slices.Contains(texts, want) {
				t.Errorf("%q is missing in %q", want, texts)
			}
		}
		one.leave()
		two.leave()
		if _, most := w.followed(); most != 1 {
			t.Errorf("%d were followed at once", most)
		}
		for i := range 5 { // each makes the one before it be forgotten
			r, err := w.hub.Open(dynomad.App{ID: fmt.Sprint("app-", i)}, dynomad.LogOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			synctest.Wait()
		}
	})
}

// TestHub_unreadable tells readers that output cannot be read, and reads it when it can.
func TestHub_unreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		defer w.close()
		w.write("web.1", "a")
		w.broken = dynomad.Errorf(dynomad.Unavailable, "Nomad does not answer.")
		c := w.read(dynomad.LogOptions{Tail: true, Lines: 10})
		time.Sleep(10 * time.Second)
		c.want(t, "dynomad[web.1]: The output cannot be read now: Nomad does not answer.")
		w.change(func() { w.broken = nil })
		time.Sleep(10 * time.Second)
		w.write("web.1", "b")
		c.want(t, "dynomad[web.1]: The output cannot be read now: Nomad does not answer.", "app[web.1]: a", "app[web.1]: b")
		c.leave()
	})
}

// TestHub_whole takes output that appears for new, whatever clocks say, once it is known that nothing was missing; before, for old.
func TestHub_whole(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, logs.Limits{})
			defer w.close()
			w.whole = whole
			c := w.read(dynomad.LogOptions{Tail: true})
			time.Sleep(time.Minute)
			w.began["web.1"] = time.Now().Add(-time.Hour)
			lines := strings.Split(strings.Repeat("x", 2*dynomad.MaxLogLines), "")
			w.write("web.1", lines...)
			w.scale("web.1")
			time.Sleep(time.Minute)
			want := dynomad.MaxLogLines + 1
			if whole {
				want = len(lines)
			}
			if got := len(c.texts()) - 1; got != want {
				t.Errorf("%d lines, want %d", got, want)
			}
			c.leave()
		})
	}
}

// TestHub_close ends readers and everything else.
func TestHub_close(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, logs.Limits{}, "web.1")
		c := w.read(dynomad.LogOptions{Tail: true})
		w.close()
		<-c.done
		if !errors.Is(c.err, io.EOF) {
			t.Errorf("got %v", c.err)
		}
		if _, err := w.hub.Open(shop, dynomad.LogOptions{}); dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("opening after the end: %v", err)
		}
		w.close()
	})
}
