package consul

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// clerk is an agent as far as registrations go.
type clerk struct {
	mu      sync.Mutex
	known   map[string]Service
	refuses error
	calls   map[string]int
}

func newClerk() *clerk { return &clerk{known: map[string]Service{}, calls: map[string]int{}} }

func (c *clerk) do(ctx context.Context, call string, f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[call]++
	return errors.Join(ctx.Err(), c.refuses, f())
}

func (c *clerk) register(ctx context.Context, s Service) error {
	return c.do(ctx, "register", func() error {
		if c.refuses == nil {
			c.known[s.Name] = s
		}
		return nil
	})
}

func (c *clerk) confirm(ctx context.Context, s Service) error {
	return c.do(ctx, "confirm", func() error {
		if _, ok := c.known[s.Name]; !ok {
			return errors.New("unknown check")
		}
		return nil
	})
}

func (c *clerk) deregister(ctx context.Context, s Service) error {
	return c.do(ctx, "deregister", func() error {
		delete(c.known, s.Name)
		return nil
	})
}

func (c *clerk) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *clerk) count(call string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[call]
}

func (c *clerk) has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.known[name]
	return ok
}

// registering runs a registrar; the function it gives ends it gracefully.
func registering(t *testing.T, c *clerk, held func() bool) (r *Registrar, end func()) {
	t.Helper()
	r = newRegistrar(c, Service{Name: "x", Port: 1}, held, hclog.NewNullLogger())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	synctest.Wait()
	return r, func() {
		cancel()
		<-ended
	}
}

func always() bool { return true }

func TestRegistrar_comesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk()
		_, end := registering(t, c, always)
		time.Sleep(time.Hour)
		synctest.Wait()
		want := int(time.Hour / beatEvery)
		if n := c.count("confirm"); !c.has("x") || c.count("register") != 1 || n < want-1 || n > want {
			t.Errorf("known %t, %d registers, %d confirms; want one register and %d confirms", c.has("x"), c.count("register"), n, want)
		}
		end()
		if c.has("x") {
			t.Error("it is registered after the end")
		}
	})
}

// TestRegistrar_forgotten has Consul lose everything.
func TestRegistrar_forgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk()
		_, end := registering(t, c, always)
		defer end()
		c.set(func() { clear(c.known) })
		time.Sleep(beatEvery)
		synctest.Wait()
		if !c.has("x") {
			t.Error("it was not registered again")
		}
	})
}

// TestRegistrar_refused has Consul refuse, then not.
func TestRegistrar_refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk()
		c.refuses = dynomad.Wrap(dynomad.Forbidden, errors.New("inner text"), "Consul refuses.")
		r, end := registering(t, c, always)
		defer end()
		if got := r.Problem(); !strings.Contains(got, "refuses") || strings.Contains(got, "inner") {
			t.Errorf("the problem is told as %q", got)
		}
		time.Sleep(time.Minute)
		if n := c.count("register"); n > 31 {
			t.Errorf("%d tries in a minute", n)
		}
		c.set(func() { c.refuses = nil })
		time.Sleep(beatRetry)
		synctest.Wait()
		if !c.has("x") || r.Problem() != "" {
			t.Errorf("registered %t, problem %q", c.has("x"), r.Problem())
		}
	})
}

// TestRegistrar_notHeld leaves the service to whoever has the lock: it registers nothing before, and takes nothing away after.
func TestRegistrar_notHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk()
		var mu sync.Mutex
		held := false
		set := func(to bool) {
			mu.Lock()
			defer mu.Unlock()
			held = to
		}
		_, end := registering(t, c, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return held
		})
		time.Sleep(time.Hour)
		if n := c.count("register") + c.count("confirm"); n != 0 {
			t.Errorf("%d calls without the lock", n)
		}
		set(true)
		time.Sleep(heldAgain)
		synctest.Wait()
		if !c.has("x") {
			t.Error("not registered with the lock")
		}
		set(false)
		time.Sleep(beatEvery + heldAgain)
		c.set(func() { c.known["x"] = Service{Name: "x", Port: 2} }) // another has the lock, and registers its own
		set(true)
		time.Sleep(heldAgain)
		synctest.Wait()
		c.set(func() {
			if got := c.known["x"].Port; got != 1 {
				t.Errorf("with the lock again, port %d is registered", got)
			}
		})
		set(false)
		end()
		if !c.has("x") {
			t.Error("another's registration was taken away")
		}
	})
}
