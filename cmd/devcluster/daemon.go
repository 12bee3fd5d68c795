package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// dataDir is where the daemon keeps its data and its root-token.
func (s *session) dataDir() string { return filepath.Join(s.cluster.Dir(), "dynomad") }

func (s *session) tokenFile() string { return filepath.Join(s.dataDir(), "root-token") }

func (s *session) apiURL() string { return "http://" + local(s.config.apiPort) }

// startDaemon starts the daemon and waits until it reaches Nomad and Consul.
func (s *session) startDaemon(ctx context.Context) error {
	s.say("Starting the daemon %s ...", s.config.daemon)
	path, err := filepath.Abs(s.config.daemon)
	if err != nil {
		return err
	}
	s.daemon, err = nomadtest.StartProcess(ctx, nomadtest.Command{
		Name:  "dynomad",
		Path:  path,
		Args:  []string{"server"},
		Env:   s.daemonEnv(os.Environ()),
		Log:   filepath.Join(s.cluster.Dir(), "dynomad.log"),
		Ready: func(ctx context.Context) error { return s.get(ctx, s.apiURL()+"/readyz", "") },
	})
	return err
}

// daemonEnv is the environment of the daemon: DYNOMAD_ variables of ours can set what is not set here.
func (s *session) daemonEnv(environ []string) []string {
	return append(withoutOtherClusters(environ),
		"DYNOMAD_LISTEN="+local(s.config.apiPort),
		"DYNOMAD_DATA_DIR="+s.dataDir(),
		"DYNOMAD_APP_DOMAIN="+appDomain,
		fmt.Sprintf("DYNOMAD_WEB_URL=http://{host}:%d", s.config.routerPort),
		"NOMAD_ADDR=http://"+s.cluster.NomadAddr(),
		"CONSUL_HTTP_ADDR="+s.cluster.ConsulAddr(),
	)
}

// withoutOtherClusters drops the variables that would lead the daemon to another cluster, or past ours.
func withoutOtherClusters(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		return strings.HasPrefix(variable, "NOMAD_") || strings.HasPrefix(variable, "CONSUL_")
	})
}

// get wants the status 200 of a URL, asked for by the name of host unless that is "".
func (s *session) get(ctx context.Context, url, host string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", url, resp.Status, body)
	}
	return nil
}

// showLog copies the daemon's log to the terminal until ctx ends. A daemon that ends by itself is an error.
func (s *session) showLog(ctx context.Context) error {
	file, err := os.Open(s.daemon.LogPath())
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := io.Copy(s.out, file); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.daemon.Done():
			_, err := io.Copy(s.out, file)
			return errors.Join(errors.New("the daemon has ended"), err)
		case <-ticker.C:
		}
	}
}
