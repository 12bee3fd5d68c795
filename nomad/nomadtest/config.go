package nomadtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
)

// Config says what cluster to start. Its zero value is a whole cluster on free ports in a temporary directory.
type Config struct {
	Ports     Ports        // fixed ports; those that are 0 are picked
	DataDir   string       // a lasting data directory, whose jobs come back at the next Start; "" is a temporary one
	BinDir    string       // where nomad, consul and traefik are; "" is the repository's bin directory
	NoTraefik bool         // start no router
	Servers   int          // Nomad servers, each a process of its own; 0 is one agent that is server and client
	Clients   int          // Nomad clients beside the servers, each a node with a Consul agent of its own
	ACL       bool         // turn on Nomad's and Consul's ACLs; see Cluster.NomadToken and Cluster.ConsulToken
	LogLevel  string       // of the agents; "" is info
	NomadHCL  string       // more configuration for every Nomad agent, merged over ours
	Logger    hclog.Logger // what the package itself has to say; nil is silence

	// CheckUpdateInterval is how long Consul's agents put off news of a check whose output alone has changed; "" is their own 5 minutes.
	CheckUpdateInterval string
}

// Ports are TCP ports on the loopback address.
type Ports struct {
	NomadHTTP  int
	NomadRPC   int
	NomadSerf  int
	ConsulHTTP int
	ConsulRPC  int
	ConsulSerf int
	Router     int // of the visitors' traffic
	RouterAPI  int // Traefik's own API and ping

	DynamicMin int // the first port that Nomad gives to allocations, on Docker's bridge
	DynamicMax int // the last
}

func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if c.BinDir == "" {
		root, err := RepoRoot()
		if err != nil {
			return c, err
		}
		c.BinDir = filepath.Join(root, "bin")
	}
	if err := c.checkAgents(); err != nil {
		return c, err
	}
	var err error
	if c.BinDir, err = filepath.Abs(c.BinDir); err != nil {
		return c, err
	}
	return c, c.checkBinaries()
}

// several says whether Nomad's servers and clients are processes of their own.
func (c Config) several() bool { return c.Servers > 0 || c.Clients > 0 }

func (c Config) checkAgents() error {
	switch {
	case !c.several():
		return nil
	case c.Servers < 1 || c.Clients < 1:
		return errors.New("a cluster of several Nomads needs servers and clients")
	case c.DataDir != "":
		return errors.New("a cluster of several Nomads has no lasting data directory")
	}
	return nil
}

func (c Config) checkBinaries() error {
	names := []string{"nomad", "consul", "traefik"}
	if c.NoTraefik {
		names = names[:2]
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(c.BinDir, name)); err != nil {
			return fmt.Errorf("%s is not in %s: build it with tools/build.sh %s", name, c.BinDir, name)
		}
	}
	return nil
}

// RepoRoot is the directory of this repository that holds the working directory (a test's is its package).
func RepoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the repository: no go.mod in the working directory or above it")
		}
		dir = parent
	}
}
