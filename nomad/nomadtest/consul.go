package nomadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	consul "github.com/hashicorp/consul/api"
)

// prepareConsul writes the configuration of a Consul server (never -dev, which forgets everything when it is
// killed) and returns its process, not started.
func (c *Cluster) prepareConsul() error {
	var err error
	c.Consul, c.consul, err = c.newConsul("consul", c.ConsulAddr(), c.consulConfig(filepath.Join(c.dir, "consul")))
	return err
}

// newConsulClient writes the configuration of a Consul agent that is no server and returns its process, not started, and a client of
// its. It does not leave the cluster when it is stopped.
func (c *Cluster) newConsulClient(name string, httpPort, serfPort int) (*Process, *consul.Client, error) {
	config := c.consulConfig(filepath.Join(c.dir, name))
	delete(config, "bootstrap_expect")
	delete(config, "ui_config")
	config["server"], config["node_name"], config["leave_on_terminate"] = false, name, false
	config["retry_join"], config["retry_interval"] = []string{loopback(c.ports.ConsulSerf)}, "1s"
	config["ports"] = map[string]any{
		"http": httpPort, "serf_lan": serfPort, "server": c.ports.ConsulRPC,
		"serf_wan": -1, "dns": -1, "grpc": -1, "grpc_tls": -1,
	}
	return c.newConsul(name, loopback(httpPort), config)
}

func (c *Cluster) newConsul(name, address string, config map[string]any) (*Process, *consul.Client, error) {
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	file := filepath.Join(c.dir, name+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	client, err := consul.NewClient(&consul.Config{Address: address, Token: c.ConsulToken})
	if err != nil {
		return nil, nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	ready := func(ctx context.Context) error { return consulReady(ctx, client, fmt.Sprint(config["node_name"])) }
	return c.process("consul", name, []string{"agent", "-config-file=" + file}, ready), client, nil
}

func (c *Cluster) consulConfig(dataDir string) map[string]any {
	config := map[string]any{
		"server":               true,
		"bootstrap_expect":     1,
		"node_name":            "nomadtest",
		"data_dir":             dataDir,
		"bind_addr":            loopbackAddr,
		"client_addr":          loopbackAddr,
		"log_level":            c.config.LogLevel,
		"disable_update_check": true,
		"ui_config":            map[string]any{"enabled": true},
		"performance":          map[string]any{"raft_multiplier": 1},
		"limits":               map[string]any{"http_max_conns_per_client": 2000},
		"ports": map[string]any{
			"http":     c.ports.ConsulHTTP,
			"server":   c.ports.ConsulRPC,
			"serf_lan": c.ports.ConsulSerf,
			"serf_wan": -1,
			"dns":      -1,
			"grpc":     -1,
			"grpc_tls": -1,
		},
	}
	if interval := c.config.CheckUpdateInterval; interval != "" {
		config["check_update_interval"] = interval
	}
	if c.config.ACL {
		config["acl"] = map[string]any{
			"enabled":                  true,
			"default_policy":           "deny",
			"enable_token_persistence": true,
			"tokens":                   map[string]any{"initial_management": c.ConsulToken, "agent": c.ConsulToken},
		}
	}
	return config
}

// consulReady wants a leader, and the agent's own node in the catalog.
func consulReady(ctx context.Context, client *consul.Client, node string) error {
	opts := (&consul.QueryOptions{}).WithContext(ctx)
	leader, err := client.Status().LeaderWithQueryOptions(opts)
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("consul has no leader")
	}
	found, _, err := client.Catalog().Node(node, opts)
	if err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("consul's catalog has no node %s", node)
	}
	return nil
}
