package nomadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// prepareTraefik writes the configuration of the router and returns its process, not started. It is told of changes
// in Consul at once (watch): polling, it would send visitors to dynos that are gone.
func (c *Cluster) prepareTraefik() error {
	config, err := json.MarshalIndent(c.traefikConfig(), "", "  ")
	if err != nil {
		return fmt.Errorf("configuring traefik: %w", err)
	}
	file := filepath.Join(c.dir, "traefik.yml") // YAML reads JSON
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return fmt.Errorf("configuring traefik: %w", err)
	}
	c.Traefik = c.process("traefik", "traefik", []string{"--configfile=" + file}, c.traefikReady)
	return nil
}

func (c *Cluster) traefikConfig() map[string]any {
	endpoint := map[string]any{"address": c.ConsulAddr(), "scheme": "http"}
	if c.ConsulToken != "" {
		endpoint["token"] = c.ConsulToken
	}
	grace := map[string]any{"lifeCycle": map[string]any{"graceTimeOut": "1s"}}
	return map[string]any{
		"global": map[string]any{"checkNewVersion": false, "sendAnonymousUsage": false},
		"log":    map[string]any{"level": "INFO", "noColor": true},
		"entryPoints": map[string]any{
			"web":     map[string]any{"address": c.RouterAddr(), "transport": grace},
			"traefik": map[string]any{"address": loopback(c.ports.RouterAPI), "transport": grace},
		},
		"api":  map[string]any{"insecure": true},
		"ping": map[string]any{},
		"serversTransport": map[string]any{
			"forwardingTimeouts": map[string]any{"dialTimeout": "2s", "idleConnTimeout": "90s"},
		},
		"providers": map[string]any{
			"consulCatalog": map[string]any{"watch": true, "exposedByDefault": false, "endpoint": endpoint},
		},
	}
}

func (c *Cluster) traefikReady(ctx context.Context) error {
	return getOK(ctx, "http://"+loopback(c.ports.RouterAPI)+"/ping")
}

// getOK wants the status 200 of a URL.
func getOK(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}
