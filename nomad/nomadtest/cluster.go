package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

const (
	startTries  = 3                // with other ports, when a port was taken between picking and listening
	closeWithin = 60 * time.Second // for a whole Close
)

// Cluster is a running Docker, Consul, Nomad and Traefik.
type Cluster struct {
	Docker  *Process // nil unless this cluster started the daemon; others may use it too, so do not kill it lightly
	Consul  *Process // the server
	Nomad   *Process // nil in a cluster of several Nomads
	Traefik *Process // nil if Config.NoTraefik

	Servers []*Agent // Nomad's; in a cluster of one the same as Clients
	Clients []*Agent

	NomadToken  string // the management token; "" without ACLs
	ConsulToken string // the same of Consul

	config  Config
	dir     string
	dirLock *useLock
	held    net.Listener // holds the block of ports
	ports   Ports
	engine  *engine
	consul  *consul.Client

	closeOnce sync.Once
	closeErr  error

	imagesMu sync.Mutex
	images   map[string]bool // built by this cluster, by tag and directory
}

// Start starts a cluster and returns when it can run jobs. ctx bounds the start, not the life of the cluster. If it
// fails, nothing is left running, and the error says where the logs are.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	dataRoot := ""
	if config.DataDir != "" {
		dataRoot = filepath.Join(config.DataDir, "docker")
	}
	engine, err := openEngine(ctx, config, dataRoot)
	if err != nil {
		return nil, err
	}
	if err := sweepStale(ctx, engine.api); err != nil {
		config.Logger.Warn("sweeping up after a killed cluster", "error", err)
	}
	for try := 1; ; try++ {
		c := &Cluster{config: config, engine: engine, Docker: engine.proc, images: make(map[string]bool)}
		err := c.start(ctx)
		if err == nil {
			return c, nil
		}
		if try == startTries || !c.addressTaken() {
			return nil, errors.Join(c.explain(err), c.Close()) //nolint:contextcheck // it has to work after ctx ended, and bounds itself
		}
		config.Logger.Warn("a port was taken, trying others", "error", err)
		if err := c.closeParts(ctx); err != nil {
			return nil, errors.Join(err, engine.close(ctx))
		}
	}
}

// start makes the data directory, picks ports, and starts Consul, then the two that need it.
func (c *Cluster) start(ctx context.Context) error {
	if err := c.openDir(ctx); err != nil {
		return err
	}
	if err := c.pick(ctx); err != nil {
		return err
	}
	if err := errors.Join(c.prepareConsul(), c.prepareNomad(ctx)); err != nil {
		return err
	}
	if err := c.Consul.start(ctx); err != nil {
		return err
	}
	return c.startOnConsul(ctx)
}

// startOnConsul starts Nomad and Traefik at the same time.
func (c *Cluster) startOnConsul(ctx context.Context) error {
	nomad := make(chan error, 1)
	go func() { nomad <- c.startNomad(ctx) }()
	var traefik error
	if !c.config.NoTraefik {
		if traefik = c.prepareTraefik(); traefik == nil {
			traefik = c.Traefik.start(ctx)
		}
	}
	return errors.Join(<-nomad, traefik)
}

// openDir makes the data directory and locks it, so that nobody sweeps it up or uses it twice.
func (c *Cluster) openDir(ctx context.Context) error {
	var err error
	if c.lasting() {
		if c.dir, err = filepath.Abs(c.config.DataDir); err == nil {
			err = os.MkdirAll(c.dir, 0o700)
		}
	} else {
		c.dir, err = os.MkdirTemp("", dirPrefix)
	}
	if err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	c.dirLock, err = lockDir(c.dir)
	if err != nil {
		return err
	}
	if c.lasting() {
		if err := sweep(ctx, c.engine.api, c.dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(c.dir, "tmp"), 0o700)
}

// pick decides on ports and tokens, as at the last start of a lasting data directory.
func (c *Cluster) pick(ctx context.Context) error {
	last, err := recall(c.dir)
	if err != nil {
		return err
	}
	if c.ports, c.held, err = reservePorts(ctx, c.config.Ports.or(last.Ports)); err != nil {
		return err
	}
	if c.config.ACL {
		c.NomadToken, c.ConsulToken = last.NomadToken, last.ConsulToken
		if c.NomadToken == "" {
			c.NomadToken, c.ConsulToken = newToken(), newToken()
		}
	}
	return remembered{Ports: c.ports, NomadToken: c.NomadToken, ConsulToken: c.ConsulToken}.save(c.dir)
}

// process describes one of the agents; it is not started.
func (c *Cluster) process(binary, name string, args []string, ready func(context.Context) error) *Process {
	return &Process{command: Command{
		Name:  name,
		Path:  filepath.Join(c.config.BinDir, binary),
		Args:  args,
		Env:   append(agentEnv(c.dir), nameMark(name)),
		Dir:   c.dir,
		Log:   filepath.Join(c.dir, name+".log"),
		Ready: ready,
	}}
}

// agentEnv is a short environment: what is set here for other uses (AWS_CA_BUNDLE, NOMAD_ADDR, proxies) has stopped
// agents from starting. dirVariable marks the processes of a cluster, their helpers included.
func agentEnv(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"LANG=C.UTF-8",
		"TMPDIR=" + filepath.Join(dir, "tmp"),
		dirVariable + "=" + dir,
	}
}

// NomadAddr is host:port of Nomad's HTTP API; of several servers that of one that runs.
func (c *Cluster) NomadAddr() string { return c.server().Addr() }

// ConsulAddr is host:port of Consul's HTTP API.
func (c *Cluster) ConsulAddr() string { return loopback(c.ports.ConsulHTTP) }

// RouterAddr is host:port where visitors reach the apps, by their Host header.
func (c *Cluster) RouterAddr() string { return loopback(c.ports.Router) }

// RouterAPIAddr is host:port of Traefik's own API (/api/http/routers and so on).
func (c *Cluster) RouterAPIAddr() string { return loopback(c.ports.RouterAPI) }

// DockerHost is the address of Docker, in the form of DOCKER_HOST.
func (c *Cluster) DockerHost() string { return c.engine.host }

// Ports are the ports in use.
func (c *Cluster) Ports() Ports { return c.ports }

// Dir is the data directory.
func (c *Cluster) Dir() string { return c.dir }

// NomadClient is a client of NomadAddr with the management token, if there are ACLs.
func (c *Cluster) NomadClient() *api.Client { return c.server().Client() }

// ConsulClient is a client with the management token, if there are ACLs.
func (c *Cluster) ConsulClient() *consul.Client { return c.consul }

// lasting says whether the data directory outlives the cluster.
func (c *Cluster) lasting() bool { return c.config.DataDir != "" }

// parts are the processes that there are, in the order of their start.
func (c *Cluster) parts() []*Process {
	all := []*Process{c.Docker, c.Consul}
	for _, a := range slices.Concat(c.Servers, c.Clients) {
		all = append(all, a.Consul, a.Process)
	}
	var parts []*Process
	for _, p := range append(all, c.Traefik) {
		if p != nil && p.started() && !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	return parts
}

func (c *Cluster) addressTaken() bool {
	for _, p := range c.parts() {
		if p != c.Docker && p.addressTaken() {
			return true
		}
	}
	return false
}

// explain adds to a failed start where its logs were kept.
func (c *Cluster) explain(err error) error {
	if len(c.parts()) == 0 || errors.Is(err, context.Canceled) {
		return err
	}
	kept, keepErr := c.KeepLogs()
	if keepErr != nil {
		return errors.Join(err, keepErr)
	}
	return fmt.Errorf("%w\nlogs: %s", err, kept)
}
