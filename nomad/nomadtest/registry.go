package nomadtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Registry is a Docker registry on a loopback port that asks for a user and a password.
type Registry struct {
	Addr     string // host:port, the first part of its images' names
	User     string
	Password string

	process *Process
}

// StartRegistry starts Debian's docker-registry with its data in dir. The caller ends it with Close.
func StartRegistry(ctx context.Context, dir, user, password string) (*Registry, error) {
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		return nil, errors.New("docker-registry is not installed: install the Debian package docker-registry")
	}
	r := &Registry{User: user, Password: password}
	if r.Addr, err = free.take(ctx); err != nil {
		return nil, err
	}
	config, err := r.writeConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("configuring the registry: %w", err)
	}
	r.process, err = StartProcess(ctx, Command{
		Name: "registry", Path: program, Args: []string{"serve", config}, Log: filepath.Join(dir, "registry.log"), Ready: r.ready,
	})
	return r, err
}

func (r *Registry) writeConfig(dir string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		return "", err
	}
	users := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(users, []byte(r.User+":"+string(hash)+"\n"), 0o600); err != nil {
		return "", err
	}
	config := filepath.Join(dir, "registry.json") // JSON is YAML
	text, err := json.Marshal(map[string]any{
		"version": "0.1",
		"storage": map[string]any{"filesystem": map[string]any{"rootdirectory": filepath.Join(dir, "images")}},
		"http":    map[string]any{"addr": r.Addr},
		"auth":    map[string]any{"htpasswd": map[string]any{"realm": "test", "path": users}},
	})
	if err != nil {
		return "", err
	}
	return config, os.WriteFile(config, text, 0o600)
}

// ready wants the registry to refuse who names no user.
func (r *Registry) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Addr+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("the registry answers %s to strangers", resp.Status)
	}
	return nil
}

// Close ends the registry.
func (r *Registry) Close(ctx context.Context) error { return r.process.Stop(ctx) }

// DockerConfig writes a file like ~/.docker/config.json with the registry's credentials, for Nomad's docker plugin.
func (r *Registry) DockerConfig(path string) error {
	auth := base64.StdEncoding.EncodeToString([]byte(r.User + ":" + r.Password))
	text, err := json.Marshal(map[string]any{"auths": map[string]any{r.Addr: map[string]string{"auth": auth}}})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// PushOnly moves a local image into a registry: it is pushed there under a name, and removed from Docker under that name, so
// that it has to be pulled.
func (c *Cluster) PushOnly(ctx context.Context, image string, r *Registry, name, tag string) (string, error) {
	repo := r.Addr + "/" + name
	query := url.Values{"repo": {repo}, "tag": {tag}}
	if err := c.engine.api.call(ctx, http.MethodPost, "/images/"+image+"/tag", query, nil); err != nil {
		return "", fmt.Errorf("tagging %s: %w", image, err)
	}
	if err := c.engine.api.push(ctx, repo, tag, r); err != nil {
		return "", fmt.Errorf("pushing %s: %w", repo, err)
	}
	pushed := repo + ":" + tag
	return pushed, c.engine.api.call(ctx, http.MethodDelete, "/images/"+pushed, nil, nil)
}

func (d *dockerAPI) push(ctx context.Context, repo, tag string, r *Registry) error {
	auth, err := json.Marshal(map[string]string{"username": r.User, "password": r.Password, "serveraddress": r.Addr})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/images/"+repo+"/push?tag="+url.QueryEscape(tag), nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Registry-Auth", base64.URLEncoding.EncodeToString(auth))
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	progress, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 || strings.Contains(string(progress), `"error"`) {
		return fmt.Errorf("docker: %s: %s", resp.Status, progress)
	}
	return nil
}
