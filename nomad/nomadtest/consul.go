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
	dir := filepath.Join(c.dir, "consul")
	config, err := json.MarshalIndent(c.consulConfig(dir), "", "  ")
	if err != nil {
		return fmt.Errorf("configuring consul: %w", err)
	}
	file := filepath.Join(c.dir, "consul.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return fmt.Errorf("configuring consul: %w", err)
	}
	c.consul, err = consul.NewClient(&consul.Config{Address: c.ConsulAddr(), Token: c.ConsulToken})
	if err != nil {
		return fmt.Errorf("configuring consul: %w", err)
	}
	c.Consul = c.process("consul", []string{"agent", "-config-file=" + file}, c.consulReady)
	return nil
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
func (c *Cluster) consulReady(ctx context.Context) error {
	opts := (&consul.QueryOptions{}).WithContext(ctx)
	leader, err := c.consul.Status().LeaderWithQueryOptions(opts)
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("consul has no leader")
	}
	nodes, _, err := c.consul.Catalog().Nodes(opts)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		return errors.New("consul's catalog has no node")
	}
	return nil
}
