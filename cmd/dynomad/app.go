package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
	"github.com/dynomad/dynomad/jobs/reconcile"
	"github.com/dynomad/dynomad/jobs/schedule"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/consul"
	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/store"
)

// The stores and adapters fit where they are used.
var (
	_ dynomad.Store      = meteredStore{}
	_ reconcile.Desired  = meteredStore{}
	_ reconcile.Cluster  = (*nomad.Client)(nil)
	_ reconcile.Services = (*consul.Client)(nil)
	_ reconcile.Live     = (*view.View)(nil)
	_ reconcile.Meter    = (*metrics)(nil)
	_ schedule.Store     = meteredStore{}
	_ nomad.Sink         = regained{}
	_ consul.Sink        = watchedHealth{}
)

// stopTime bounds the end of the daemon after SIGTERM.
const stopTime = 9 * time.Second

// forgetInterval is between looks for dynos that ended long ago.
const forgetInterval = 10 * time.Second

// app is the running daemon: its parts, wired, and how to close them.
type app struct {
	config   *Config
	log      hclog.Logger
	store    *store.Store
	nomad    *nomad.Client
	consul   *consul.Client
	health   *consul.Watcher
	view     *view.View
	loop     *reconcile.Loop
	logs     *logs.Hub
	monitor  *monitor
	platform *dynomad.Platform
	metrics  *metrics
	unknown  *unknown

	holder    consul.Holder
	lock      *consul.Lock
	registrar atomic.Pointer[consul.Registrar] // nil at first

	followed followed

	installation string
	sighted      chan struct{} // closed when a namespace has come into sight
	sightedOnce  sync.Once
	closers      []closer // closed last to first
}

type closer struct {
	name  string
	close func(context.Context) error
}

// serve runs the daemon until ctx ends, then closes it in good order.
func serve(ctx context.Context, config *Config, stderr io.Writer) error {
	log := hclog.New(&hclog.LoggerOptions{
		Name: "dynomad", Level: hclog.LevelFromString(config.LogLevel), Output: stderr,
		JSONFormat: config.LogFormat == "json", TimeFormat: "2006-01-02T15:04:05.000Z07:00",
	})
	a := &app{config: config, log: log, sighted: make(chan struct{})}
	err := a.start(ctx)
	if err == nil {
		<-ctx.Done()
		log.Info("stopping")
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	return errors.Join(err, a.close(closing))
}

// onClose has f called when the daemon ends.
func (a *app) onClose(name string, f func(context.Context) error) {
	a.closers = append(a.closers, closer{name, f})
}

func (a *app) close(ctx context.Context) error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		c := a.closers[i]
		if err := c.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing %s: %w", c.name, err))
		}
	}
	a.closers = nil
	return errors.Join(errs...)
}

// start wires and starts everything; what was started before a failure is closed by close.
func (a *app) start(ctx context.Context) error {
	a.metrics = newMetrics()
	if err := a.openStore(ctx); err != nil {
		return err
	}
	if err := a.connect(); err != nil {
		return err
	}
	if err := a.lockInstallation(ctx); err != nil {
		return err
	}
	a.wire()
	if err := a.ensureRootToken(ctx); err != nil {
		return err
	}
	a.startBackground(ctx)
	if err := a.listen(ctx); err != nil {
		return err
	}
	return a.startFallback(ctx) // last: a free port must not be one that another listener was told to take
}

// openStore takes the data folder for this process alone and opens what is in it.
func (a *app) openStore(ctx context.Context) error {
	if err := os.MkdirAll(a.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if err := a.lockFolder(); err != nil {
		return err
	}
	key, err := store.LoadKey(filepath.Join(a.config.DataDir, keyFile))
	if err != nil {
		return err
	}
	a.store, err = store.Open(ctx, store.Config{
		Path: filepath.Join(a.config.DataDir, databaseFile), Key: key, Now: time.Now, Observe: a.metrics.wrote,
	})
	if err != nil {
		return err
	}
	a.onClose("store", func(context.Context) error { return a.store.Close() })
	a.installation, err = a.store.Installation(ctx)
	return err
}

func (a *app) connect() (err error) {
	if a.nomad, err = nomad.New(nil); err != nil {
		return fmt.Errorf("nomad's settings: %w", err)
	}
	if a.consul, err = consul.New(nil); err != nil {
		return fmt.Errorf("consul's settings: %w", err)
	}
	return nil
}

// wire makes the parts and joins them.
func (a *app) wire() {
	a.monitor = newMonitor(a.store, a.nomad, a.consul, a.log.Named("monitor"))
	a.monitor.turned = a.doubt
	a.view = view.New(view.Config{
		Settings: jobs.ViewSettings{
			StartGrace: a.config.StartGrace, MinHealthyTime: a.config.MinHealthyTime, UIURL: a.config.NomadUIURL, Sizes: a.config.Sizes,
		},
		Namespace: a.nomad.Namespace(),
		Now:       time.Now,
		Changed:   a.wake,
		Ask:       func(service string) { a.health.Ask(service) },
	})
	a.health = consul.NewWatcher(a.consul, watchedHealth{a.view, &sight{part: "consul", metrics: a.metrics}}, a.log.Named("consul"))
	a.loop = reconcile.New(reconcile.Config{
		Desired: meteredStore{a.store, a.metrics}, Cluster: a.nomad, Live: a.view, Services: a.consul, Settings: a.jobSettings, Held: a.lock.Held,
		Now: time.Now, NewID: uuid.NewString, Log: a.log.Named("loop"), Meter: a.metrics,
	})
	a.unknown = &unknown{
		installation: a.installation, marked: a.view.Marked, ask: a.store.UnknownApps, askRuns: a.store.UnknownRuns,
		skip: a.store.SkipRuns, log: a.log.Named("unknown"),
	}
	a.logs = a.newLogs()
	a.metrics.registry.MustRegister(a.unknown.metric(), newGauges(a))
	a.metrics.registry.MustRegister(logMetrics(a.logs)...)
	a.platform = dynomad.NewPlatform(a.config.rules(), dynomad.Parts{
		Store: meteredStore{a.store, a.metrics}, View: a.view, Loop: waker{a}, Exec: nomad.NewExecutor(a.nomad, a.log.Named("attach")), Logs: a.logs,
		Now: now, NewID: uuid.NewString,
	})
}

// scheduler makes what has dynos run when their schedules come due.
func (a *app) scheduler() *schedule.Scheduler {
	return schedule.New(schedule.Config{
		Store: meteredStore{a.store, a.metrics}, Rules: a.config.rules(), Follows: a.view.Follows, Wake: a.loop.Wake, Held: a.lock.Held, Now: now,
		NewID: uuid.NewString, Log: a.log.Named("schedule"),
	})
}

// now is the time as the API shows and the store keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// jobSettings are what jobs are rendered by. Whether memory limits may exceed requests is the cluster's to say.
func (a *app) jobSettings() jobs.Settings {
	return a.config.jobSettings(a.installation, a.nomad.Namespace(), a.monitor.facts())
}

// startBackground starts what watches and what acts. All of it ends with ctx and is waited for by close.
func (a *app) startBackground(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group := newGroup()
	group.start(func() { a.monitor.run(ctx) })
	group.start(func() { a.watchNamespaces(ctx) })
	group.start(func() { a.health.Run(ctx) })
	group.start(func() { a.forget(ctx) })
	group.start(func() {
		a.platform.EndStrays(ctx, func(err error) { a.log.Warn("attached dynos without a client could not be ended", "error", err) })
	})
	group.start(func() { a.unknown.run(ctx) })
	group.start(func() { a.lock.Run(ctx) })
	group.start(func() { a.scheduler().Run(ctx) })
	group.start(func() {
		// What is rendered depends on the cluster's facts: rendered without them, every dyno would be replaced once
		// they are known.
		if a.monitor.waitForFacts(ctx) && a.waitForSight(ctx) {
			a.loop.Run(ctx)
		}
	})
	a.onClose("background", func(closing context.Context) error {
		cancel()
		return group.wait(closing)
	})
}

// forget drops from the view what has ended so long ago that nobody is shown it.
func (a *app) forget(ctx context.Context) {
	every(ctx, forgetInterval, func() { a.view.Forget(time.Now()) })
}

// every does something at an interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

func (a *app) listen(ctx context.Context) error {
	trusted, err := proxies(a.config.TrustedProxies)
	if err != nil {
		return err // cannot be: it was checked
	}
	api := server.New(server.Config{
		Platform: a.platform, AppDomain: a.config.AppDomain, WebURL: a.config.WebURL, ExternalURL: a.config.ExternalURL,
		NomadUIURL: a.config.NomadUIURL, NomadNamespace: a.nomad.Namespace(), Version: version,
		RateLimit: a.config.RateLimit, RefusedLimit: a.config.RefusedLimit, TokenStreams: a.config.TokenStreams, Proxies: trusted,
		Logger: a.log.Named("api"), Now: now, NewID: uuid.NewString, NewToken: newToken,
		Ready: a.ready, Notices: a.notices, Metrics: a.metrics.handlerIf(a.config.MetricsListen == ""), Observe: a.metrics.observe,
	})
	if a.config.MetricsListen != "" {
		if err := a.serveHTTP(ctx, "metrics", a.config.MetricsListen, a.metrics.alone(), nil); err != nil {
			return err
		}
	}
	if a.config.DebugListen != "" {
		if err := a.serveHTTP(ctx, "debug", a.config.DebugListen, profiles(), nil); err != nil {
			return err
		}
	}
	certificate, err := a.openCertificates(ctx)
	if err != nil {
		return err
	}
	if err := a.serveHTTP(ctx, "api", a.config.Listen, api.Handler(), certificate); err != nil {
		return err
	}
	a.onClose("logs", a.logs.Close) // before the API: requests that stream would not end
	a.onClose("streams", func(closing context.Context) error {
		closing, cancel := context.WithTimeout(closing, streamsTime)
		defer cancel()
		return api.StopStreams(closing)
	})
	return nil
}

// streamsTime is how long clients that talk with dynos, and their commands, have to end when the daemon does. The rest of stopTime is
// for the other requests.
const streamsTime = 5 * time.Second

// How long requests under way have when the daemon ends: to finish, and, told that their time is up, to clean up.
const (
	finishTime = 3 * time.Second
	cleanTime  = 7 * time.Second
)

// serveHTTP serves on an address until the daemon closes. Requests under way are finished then; those that take too long are
// told to end, as when their client goes away, and at last cut off. secure is nil for plain HTTP.
func (a *app) serveHTTP(ctx context.Context, name, addr string, handler http.Handler, secure *tls.Config) error {
	lc := net.ListenConfig{Control: noticeVanished}
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening for the %s: %w", name, err)
	}
	srv := server.HTTPServer(handler, a.log.Named(name))
	srv.TLSConfig = secure
	listener = server.LimitConnections(listener, srv, a.config.MaxConnections)
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	srv.BaseContext = func(net.Listener) context.Context { return requests }
	a.onClose(name, func(closing context.Context) error {
		defer cut()
		defer time.AfterFunc(finishTime, cut).Stop()
		closing, cancel := context.WithTimeout(closing, cleanTime)
		defer cancel()
		if err := srv.Shutdown(closing); err != nil {
			a.log.Warn("requests were cut off", "listener", name)
			return srv.Close()
		}
		return nil
	})
	go func() {
		var err error
		if secure != nil {
			err = srv.ServeTLS(listener, "", "") // from the configuration
		} else {
			err = srv.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("stopped serving", "listener", name, "error", err)
		}
	}()
	a.log.Info("serving", "listener", name, "address", listener.Addr().String(), "version", version, "tls", secure != nil)
	return nil
}
