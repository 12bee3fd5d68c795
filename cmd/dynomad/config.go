package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
	"github.com/dynomad/dynomad/nomad"
)

// Config is every setting of the daemon. The table in docs/settings.md tells of each.
type Config struct {
	Listen            string
	DataDir           string
	RootToken         string // never a flag: command lines are seen by everybody on the machine
	AppDomain         string
	WebURL            string
	ExternalURL       string
	NomadUIURL        string
	MetricsListen     string
	RouterTags        string
	FallbackListen    string
	FallbackAdvertise string // where routers reach the pages; "" is where they listen
	FallbackTags      string
	Datacenters       []string
	NodePool          string
	StartGrace        time.Duration
	RateLimit         int
	RefusedLimit      int
	TokenStreams      int
	MaxConnections    int
	TrustedProxies    []string // addresses and networks
	MaxQuantity       int
	DefaultSize       string
	DefaultPort       int
	MinHealthyTime    time.Duration
	CheckInterval     time.Duration
	DeployTimeout     time.Duration
	Drain             time.Duration
	LogDynos          int
	SizesFile         string
	TLSCert           string
	TLSKey            string
	DebugListen       string
	DebugPublic       bool
	LogLevel          string
	LogFormat         string

	Sizes dynomad.Sizes // read from SizesFile, or built in
}

func defaultConfig() *Config {
	return &Config{
		Listen:         "127.0.0.1:5000",
		DataDir:        "./data",
		AppDomain:      "apps.localhost",
		WebURL:         "http://{host}",
		FallbackListen: "127.0.0.1:0",
		Datacenters:    []string{"*"},
		NodePool:       "default",
		StartGrace:     30 * time.Second,
		RefusedLimit:   300,
		TokenStreams:   60,
		MaxConnections: 4096,
		MaxQuantity:    20,
		DefaultSize:    "gp2",
		DefaultPort:    9000,
		MinHealthyTime: 10 * time.Second,
		CheckInterval:  5 * time.Second,
		DeployTimeout:  5 * time.Minute,
		Drain:          10 * time.Second,
		LogDynos:       logs.DefaultFollowed,
		LogLevel:       "info",
		LogFormat:      "text",
	}
}

func (c *Config) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Listen, "listen", c.Listen, "address of the API")
	f.StringVar(&c.DataDir, "data-dir", c.DataDir, "folder of the database, the secret key and the root token")
	f.StringVar(&c.AppDomain, "app-domain", c.AppDomain, "apps are served at <app>.<domain>")
	f.StringVar(&c.WebURL, "web-url", c.WebURL, "how an app's web_url is shown; {host} is its host")
	f.StringVar(&c.ExternalURL, "external-url", c.ExternalURL, "base of absolute URLs in answers (default from --listen)")
	f.StringVar(&c.NomadUIURL, "nomad-ui-url", c.NomadUIURL, "base of links to the Nomad UI (default NOMAD_ADDR/ui)")
	f.StringVar(&c.MetricsListen, "metrics-listen", c.MetricsListen, "address of /metrics (default the API's)")
	f.StringVar(&c.RouterTags, "router-tags", c.RouterTags, "template of the service tags, one a line (default Traefik's)")
	f.StringVar(&c.FallbackListen, "fallback-listen", c.FallbackListen, "address of the pages for apps that cannot answer")
	f.StringVar(&c.FallbackAdvertise, "fallback-advertise", c.FallbackAdvertise, "host:port where routers reach them (default --fallback-listen)")
	f.StringVar(&c.FallbackTags, "fallback-tags", c.FallbackTags, "template of their service tags, one a line (default Traefik's)")
	f.StringSliceVar(&c.Datacenters, "datacenters", c.Datacenters, "where jobs may run")
	f.StringVar(&c.NodePool, "node-pool", c.NodePool, "node pool of the jobs")
	f.DurationVar(&c.StartGrace, "start-grace", c.StartGrace, "time a new dyno has before a failing check is a probe-failure")
	f.IntVar(&c.RateLimit, "rate-limit", c.RateLimit, "requests a minute per token; 0 is no limit")
	f.IntVar(&c.RefusedLimit, "refused-limit", c.RefusedLimit, "requests a minute per address whose token or secret is missing or wrong; 0 is no limit")
	f.IntVar(&c.TokenStreams, "token-streams", c.TokenStreams, "logs and terminals that one token has open at once; 0 is no limit")
	f.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "connections that a listener has at once; 0 is no limit")
	f.StringSliceVar(&c.TrustedProxies, "trusted-proxies", c.TrustedProxies, "addresses and networks whose X-Forwarded-For says who asks")
	f.IntVar(&c.MaxQuantity, "max-quantity", c.MaxQuantity, "highest quantity of a dyno type")
	f.StringVar(&c.DefaultSize, "default-size", c.DefaultSize, "size of types that name none")
	f.IntVar(&c.DefaultPort, "default-port", c.DefaultPort, "port of web types that name none")
	f.DurationVar(&c.MinHealthyTime, "min-healthy-time", c.MinHealthyTime, "a new dyno must stay healthy this long")
	f.DurationVar(&c.CheckInterval, "check-interval", c.CheckInterval, "interval of the Consul checks")
	f.DurationVar(&c.DeployTimeout, "deploy-timeout", c.DeployTimeout, "a rollout not healthy by then has failed")
	f.DurationVar(&c.Drain, "drain", c.Drain, "time between leaving Consul and the stop signal")
	f.IntVar(&c.LogDynos, "log-dynos", c.LogDynos, "dynos whose output is followed at once, while somebody reads logs")
	f.StringVar(&c.SizesFile, "sizes", c.SizesFile, "HCL or JSON file of sizes (default built in)")
	f.StringVar(&c.TLSCert, "tls-cert", c.TLSCert, "certificate file, to serve HTTPS; it may be replaced while the daemon runs")
	f.StringVar(&c.TLSKey, "tls-key", c.TLSKey, "the certificate's key file")
	f.StringVar(&c.DebugListen, "debug-listen", c.DebugListen, "address of Go's profiles, a loopback one (default off)")
	f.BoolVar(&c.DebugPublic, "debug-public", c.DebugPublic, "let --debug-listen be an address that others reach")
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "trace, debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json")
}

// fromEnvironment sets the flags that were not given from DYNOMAD_… variables.
func fromEnvironment(f *pflag.FlagSet, getenv func(string) string) error {
	var errs []error
	f.VisitAll(func(flag *pflag.Flag) {
		name := "DYNOMAD_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value := getenv(name)
		if flag.Changed || value == "" || flag.Name == "help" {
			return
		}
		if err := f.Set(flag.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}

// finish fills in what follows from other settings, reads the sizes and reports all that is wrong at once.
func (c *Config) finish(getenv func(string) string) error {
	if c.ExternalURL == "" {
		scheme := "http"
		if c.TLSCert != "" {
			scheme = "https"
		}
		c.ExternalURL = scheme + "://" + c.Listen
	}
	if c.NomadUIURL == "" {
		c.NomadUIURL = "http://127.0.0.1:4646/ui"
		if addr := getenv("NOMAD_ADDR"); addr != "" {
			c.NomadUIURL = strings.TrimSuffix(withoutUser(addr), "/") + "/ui"
		}
	}
	var errs []error
	var err error
	if c.Sizes, err = loadSizes(c.SizesFile); err != nil {
		errs = append(errs, err)
	}
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.validate()...)
	errs = append(errs, c.checkDebug()...)
	return errors.Join(append(errs, c.checkFallback()...)...)
}

// withoutUser takes a user and password out of a URL that is to be shown.
func withoutUser(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return address
}

func (c *Config) validate() []error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, _, err := net.SplitHostPort(c.Listen)
	check(err == nil, "listen %q must be host:port", c.Listen)
	if c.MetricsListen != "" {
		_, _, err = net.SplitHostPort(c.MetricsListen)
		check(err == nil, "metrics-listen %q must be host:port", c.MetricsListen)
	}
	check(validDomain(c.AppDomain), "app-domain %q must be a domain name", c.AppDomain)
	check(strings.Contains(c.WebURL, "{host}"), "web-url %q must contain {host}", c.WebURL)
	check(validBase(c.ExternalURL), "external-url %q must be an http or https URL", withoutUser(c.ExternalURL))
	check(validBase(c.NomadUIURL), "nomad-ui-url %q must be an http or https URL", withoutUser(c.NomadUIURL))
	err = jobs.CheckRouterTags(c.RouterTags)
	check(err == nil, "router-tags: %v", err)
	check(len(c.Datacenters) > 0, "datacenters must name at least one, or *")
	check(c.MaxQuantity >= 1 && c.MaxQuantity <= 10000, "max-quantity must be from 1 to 10000, not %d", c.MaxQuantity)
	check(c.DefaultPort >= dynomad.MinPort && c.DefaultPort <= dynomad.MaxPort, "default-port must be from %d to %d, not %d", dynomad.MinPort, dynomad.MaxPort, c.DefaultPort)
	if _, ok := c.Sizes.Find(c.DefaultSize); c.Sizes != nil {
		check(ok, "default-size %q is none of %s", c.DefaultSize, strings.Join(c.Sizes.Names(), ", "))
	}
	check(c.LogDynos >= 1, "log-dynos must be at least 1")
	check(c.RateLimit >= 0, "rate-limit must not be negative")
	check(c.RefusedLimit >= 0, "refused-limit must not be negative")
	check(c.TokenStreams >= 0, "token-streams must not be negative")
	check(c.MaxConnections >= 0, "max-connections must not be negative")
	_, err = proxies(c.TrustedProxies)
	check(err == nil, "trusted-proxies: %v", err)
	check(c.StartGrace >= 0, "start-grace must not be negative")
	check(c.Drain >= 0, "drain must not be negative")
	check(c.CheckInterval >= time.Second, "check-interval must be at least 1s, Nomad's least, not %s", c.CheckInterval)
	check(c.MinHealthyTime >= 0 && c.MinHealthyTime < c.DeployTimeout, "min-healthy-time (%s) must be below deploy-timeout (%s)", c.MinHealthyTime, c.DeployTimeout)
	check((c.TLSCert == "") == (c.TLSKey == ""), "tls-cert and tls-key go together")
	check(hclog.LevelFromString(c.LogLevel) != hclog.NoLevel, "log-level %q is not trace, debug, info, warn or error", c.LogLevel)
	check(c.LogFormat == "text" || c.LogFormat == "json", "log-format %q is neither text nor json", c.LogFormat)
	return errs
}

// proxies reads addresses (10.0.0.1) and networks (10.0.0.0/8).
func proxies(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			p, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network", text)
		}
		all = append(all, p)
	}
	return all, nil
}

func validBase(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func validDomain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-'
	})
}

func (c *Config) rules() dynomad.Rules {
	return dynomad.Rules{Sizes: c.Sizes, DefaultSize: c.DefaultSize, DefaultPort: c.DefaultPort, MaxQuantity: c.MaxQuantity}
}

// jobSettings are what jobs are rendered by, with what is not the operator's to choose: the installation, the namespace of the
// client of Nomad, and what the cluster is able to do.
func (c *Config) jobSettings(installation, namespace string, facts nomad.Facts) jobs.Settings {
	return jobs.Settings{
		Installation: installation, Datacenters: c.Datacenters, NodePool: c.NodePool, Namespace: namespace,
		AppDomain: c.AppDomain, RouterTags: c.RouterTags, APIURL: c.ExternalURL,
		Drain: c.Drain, MinHealthyTime: c.MinHealthyTime, CheckInterval: c.CheckInterval, DeployTimeout: c.DeployTimeout,
		Sizes: c.Sizes, Oversubscription: facts.Oversubscription,
	}
}
