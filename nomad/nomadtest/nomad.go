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
	Name                   string // of the agent, and of its node
	DataDir                string
	Server, Client         bool
	HTTP, RPC, Serf        int
	ServerRPC, ServerSerf  []string // addresses of all servers
	DynamicMin, DynamicMax int
	LogLevel               string
	Bridge                 string
	DockerHost             string
	ConsulAddr             string
	ConsulToken            string
	ConsulUI               string
	ACL                    bool
	LoopbackAddr           string
}

// nomadValues are the values that all agents have in common.
func (c *Cluster) nomadValues() nomadValues {
	return nomadValues{
		LogLevel:     c.config.LogLevel,
		Bridge:       c.engine.bridge,
		DockerHost:   c.engine.host,
		ConsulAddr:   c.ConsulAddr(),
		ConsulToken:  c.ConsulToken,
		ConsulUI:     c.ConsulAddr(),
		ACL:          c.config.ACL,
		LoopbackAddr: loopbackAddr,
	}
}

// prepareNomad writes the configuration of every Nomad agent; none is started.
func (c *Cluster) prepareNomad(ctx context.Context) error {
	extra := filepath.Join(c.dir, "nomad-extra.hcl")
	if err := os.WriteFile(extra, []byte(c.config.NomadHCL), 0o600); err != nil {
		return fmt.Errorf("configuring nomad: %w", err)
	}
	if c.config.several() {
		return c.prepareSeveral(ctx)
	}
	values := c.nomadValues()
	values.Name, values.DataDir, values.Server, values.Client = "nomadtest", filepath.Join(c.dir, "nomad"), true, true
	values.HTTP, values.RPC, values.Serf = c.ports.NomadHTTP, c.ports.NomadRPC, c.ports.NomadSerf
	values.ServerRPC, values.ServerSerf = []string{loopback(values.RPC)}, []string{loopback(values.Serf)}
	values.DynamicMin, values.DynamicMax = c.ports.DynamicMin, c.ports.DynamicMax
	agent, err := c.newAgent("nomad", values)
	if err != nil {
		return err
	}
	c.Nomad, c.Servers, c.Clients = agent.Process, []*Agent{agent}, []*Agent{agent}
	return nil
}

// newAgent writes the configuration of one agent. name is its process's.
func (c *Cluster) newAgent(name string, values nomadValues) (*Agent, error) {
	config, err := values.render()
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	file := filepath.Join(c.dir, name+".hcl")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	a := &Agent{Consul: c.Consul, cluster: c, values: values}
	a.nomad, err = api.NewClient(&api.Config{Address: "http://" + a.Addr(), SecretID: c.NomadToken})
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	args := []string{"agent", "-config=" + file, "-config=" + filepath.Join(c.dir, "nomad-extra.hcl")}
	a.Process = c.process("nomad", name, args, a.ready)
	return a, nil
}

func (v nomadValues) render() ([]byte, error) {
	parsed, err := template.New("nomad.hcl").Parse(nomadHCL)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, v)
	return out.Bytes(), err
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
func (a *Agent) bootstrapACL(ctx context.Context) error {
	if !a.values.ACL || !a.values.Server {
		return nil
	}
	if _, _, err := a.nomad.ACLTokens().Self((&api.QueryOptions{}).WithContext(ctx)); err == nil {
		return nil
	}
	_, _, err := a.nomad.ACLTokens().BootstrapOpts(a.cluster.NomadToken, (&api.WriteOptions{}).WithContext(ctx))
	return err
}
