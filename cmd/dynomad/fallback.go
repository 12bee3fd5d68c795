package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/dynomad/dynomad/nomad/consul"
	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/server/fallback"
)

// defaultFallbackTags make Traefik lead every host under the domain to the fallback pages, unless another router claims it:
// the priority of a router that names none is the length of its rule.
// See https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/.
const defaultFallbackTags = "traefik.enable=true\n" +
	"traefik.http.routers.{{.Service}}.rule=HostRegexp(`{{.HostRegexp}}`)\n" +
	"traefik.http.routers.{{.Service}}.priority=1\n"

// pagesTime is how long requests for the fallback pages have to be finished when the daemon ends.
const pagesTime = 500 * time.Millisecond

// fallbackTagData is what the template of the tags may use.
type fallbackTagData struct {
	Service    string // name of the Consul service, and fit to name a router
	Domain     string // in lower case
	HostRegexp string // fits every host under the domain
}

// fallbackTags fills in the template; every line that is not blank is a tag.
func fallbackTags(text, service, domain string) ([]string, error) {
	if text == "" {
		text = defaultFallbackTags
	}
	domain = strings.ToLower(domain) // routers compare hosts in lower case
	t, err := template.New("fallback-tags").Parse(text)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	data := fallbackTagData{Service: service, Domain: domain, HostRegexp: `^.+\.` + regexp.QuoteMeta(domain) + `\.?$`}
	if err := t.Execute(&b, data); err != nil {
		return nil, err
	}
	var tags []string
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimSpace(line); line != "" {
			tags = append(tags, line)
		}
	}
	return tags, nil
}

// startFallback serves the fallback pages on a listener of their own and keeps them registered for routers to find.
func (a *app) startFallback(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", a.config.FallbackListen)
	if err != nil {
		return fmt.Errorf("listening for the fallback pages: %w", err)
	}
	log := a.log.Named("fallback")
	srv := fallback.HTTPServer(fallback.New(fallback.Config{
		Domain: a.config.AppDomain, Apps: a.store, Dynos: a.view, StartTime: a.config.DeployTimeout, Now: now, Logger: log,
	}), log)
	a.servePages(server.LimitConnections(listener, srv, a.config.MaxConnections), srv)
	service, err := a.fallbackService(listener.Addr())
	if err != nil {
		return err
	}
	registrar := a.consul.NewRegistrar(service, a.lock.Held, log)
	a.registrar.Store(registrar)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group := newGroup()
	group.start(func() { registrar.Run(ctx) })
	a.onClose("registration", func(closing context.Context) error {
		cancel()
		return group.wait(closing)
	})
	return nil
}

// servePages serves until the daemon closes. It ends soon then: a page takes no time, and strangers who are slow must not hold up
// the rest.
func (a *app) servePages(listener net.Listener, srv *http.Server) {
	go func() {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("stopped serving", "listener", "fallback", "error", err)
		}
	}()
	a.onClose("fallback", func(closing context.Context) error {
		closing, cancel := context.WithTimeout(closing, pagesTime)
		defer cancel()
		if srv.Shutdown(closing) == nil {
			return nil
		}
		return srv.Close()
	})
	a.log.Info("serving", "listener", "fallback", "address", listener.Addr().String())
}

// fallbackService is what routers find of the pages. Its name has the installation's id: two installations do not share one
// service, and no app can be called so, since that is longer than an app's name may be.
func (a *app) fallbackService(listening net.Addr) (consul.Service, error) {
	name := "dynomad-fallback-" + a.installation
	tags, err := fallbackTags(a.config.FallbackTags, name, a.config.AppDomain)
	if err != nil {
		return consul.Service{}, fmt.Errorf("the template of the fallback's tags: %w", err)
	}
	host, port, err := advertised(a.config.FallbackAdvertise, listening)
	return consul.Service{
		Name: name, Address: host, Port: port, Tags: tags, Meta: map[string]string{"dynomad": a.installation},
		Check: "The daemon answers for apps that cannot",
	}, err
}

// advertised gives where routers reach a listener. Without a setting that is where it listens; port 0 is the listener's. A
// listener on all addresses is reached at that of Consul's node, which "" stands for.
func advertised(setting string, listening net.Addr) (host string, port int, err error) {
	tcp, ok := listening.(*net.TCPAddr)
	if !ok {
		return "", 0, errors.New("the fallback pages do not listen on TCP")
	}
	if setting == "" {
		setting = net.JoinHostPort(tcp.IP.String(), "0")
	}
	host, text, err := net.SplitHostPort(setting)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, err
	}
	if port == 0 {
		port = tcp.Port
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return host, port, nil
}

// checkFallback reports what is wrong with the settings of the fallback pages.
func (c *Config) checkFallback() []error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.FallbackListen); err != nil {
		errs = append(errs, fmt.Errorf("fallback-listen %q must be host:port", c.FallbackListen))
	}
	if c.FallbackAdvertise != "" {
		_, text, err := net.SplitHostPort(c.FallbackAdvertise)
		port, portErr := strconv.Atoi(text)
		if err != nil || portErr != nil || port < 0 || port > 65535 {
			errs = append(errs, fmt.Errorf("fallback-advertise %q must be host:port", c.FallbackAdvertise))
		}
	}
	if _, err := fallbackTags(c.FallbackTags, "x", c.AppDomain); err != nil {
		errs = append(errs, fmt.Errorf("fallback-tags: %w", err))
	}
	return errs
}
