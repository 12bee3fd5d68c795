package nomadtest

import (
	"bytes"
	"context"
	_ "embed" // for nomad.hcl
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/hashicorp/nomad/api"
)

//go:embed nomad.hcl
var nomadHCL string

// nomadValues fill in nomad.hcl.
type nomadValues struct {
	Ports
	LogLevel     string
	DataDir      string
	Bridge       string
	DockerHost   string
	ConsulAddr   string
	ConsulToken  string
	ACL          bool
	LoopbackAddr string
}

// prepareNomad writes the configuration of the Nomad agent and returns its process, not started.
func (c *Cluster) prepareNomad() error {
	config, err := c.nomadConfig()
	if err != nil {
		return fmt.Errorf("configuring nomad: %w", err)
	}
	file, extra := filepath.Join(c.dir, "nomad.hcl"), filepath.Join(c.dir, "nomad-extra.hcl")
	err = errors.Join(os.WriteFile(file, config, 0o600), os.WriteFile(extra, []byte(c.config.NomadHCL), 0o600))
	if err != nil {
		return fmt.Errorf("configuring nomad: %w", err)
	}
	c.nomad, err = api.NewClient(&api.Config{Address: "http://" + c.NomadAddr(), SecretID: c.NomadToken})
	if err != nil {
		return fmt.Errorf("configuring nomad: %w", err)
	}
	c.Nomad = c.process("nomad", []string{"agent", "-config=" + file, "-config=" + extra}, c.nomadReady)
	return nil
}

func (c *Cluster) nomadConfig() ([]byte, error) {
	parsed, err := template.New("nomad.hcl").Parse(nomadHCL)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, nomadValues{
		Ports:        c.ports,
		LogLevel:     c.config.LogLevel,
		DataDir:      filepath.Join(c.dir, "nomad"),
		Bridge:       c.engine.bridge,
		DockerHost:   c.engine.host,
		ConsulAddr:   c.ConsulAddr(),
		ConsulToken:  c.ConsulToken,
		ACL:          c.config.ACL,
		LoopbackAddr: loopbackAddr,
	})
	return out.Bytes(), err
}

// nomadReady wants a leader, a ready node that can run containers, and that node's knowledge of Consul, without
// which no job with a service is placed.
func (c *Cluster) nomadReady(ctx context.Context) error {
	opts := (&api.QueryOptions{}).WithContext(ctx)
	if _, err := c.nomad.Status().Leader(); err != nil {
		return err
	}
	if err := c.bootstrapACL(ctx); err != nil {
		return err
	}
	nodes, _, err := c.nomad.Nodes().List(opts)
	if err != nil {
		return err
	}
	for _, stub := range nodes {
		if stub.Status != api.NodeStatusReady {
			continue
		}
		node, _, err := c.nomad.Nodes().Info(stub.ID, opts)
		if err != nil {
			return err
		}
		return checkNode(node)
	}
	return fmt.Errorf("nomad has no ready node among %d", len(nodes))
}

func checkNode(node *api.Node) error {
	docker := node.Drivers["docker"]
	switch {
	case docker == nil || !docker.Detected:
		return errors.New("nomad has not found docker")
	case !docker.Healthy:
		return fmt.Errorf("nomad's docker driver is not healthy: %s", docker.HealthDescription)
	case node.Attributes["driver.docker"] == "":
		return errors.New("nomad's node lacks the attribute driver.docker")
	case node.Attributes["consul.version"] == "":
		return errors.New("nomad has not found consul")
	}
	return nil
}

// bootstrapACL makes NomadToken the management token, once in the life of a data directory.
func (c *Cluster) bootstrapACL(ctx context.Context) error {
	if !c.config.ACL {
		return nil
	}
	if _, _, err := c.nomad.ACLTokens().Self((&api.QueryOptions{}).WithContext(ctx)); err == nil {
		return nil
	}
	_, _, err := c.nomad.ACLTokens().BootstrapOpts(c.NomadToken, (&api.WriteOptions{}).WithContext(ctx))
	return err
}
