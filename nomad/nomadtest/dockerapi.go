package nomadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// dockerAPI is the little of Docker's HTTP API that is needed here; its SDK would bring some hundred packages.
type dockerAPI struct {
	http *http.Client
	base string
}

// newDockerAPI takes an address in the form of DOCKER_HOST: unix:///path or tcp://host:port.
func newDockerAPI(host string) (*dockerAPI, error) {
	scheme, address, ok := strings.Cut(host, "://")
	if !ok || (scheme != "unix" && scheme != "tcp") {
		return nil, fmt.Errorf("DOCKER_HOST %q is neither unix:// nor tcp://", host)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, scheme, address)
		},
	}
	return &dockerAPI{http: &http.Client{Transport: transport}, base: "http://docker"}, nil
}

// dockerError is an answer of Docker other than 2xx.
type dockerError struct {
	Status  int
	Message string
}

func (e *dockerError) Error() string { return fmt.Sprintf("docker: %s (%d)", e.Message, e.Status) }

func isDockerStatus(err error, status int) bool {
	var answer *dockerError
	return errors.As(err, &answer) && answer.Status == status
}

// call sends a request and decodes the JSON of its answer into out, unless that is nil.
func (d *dockerAPI) call(ctx context.Context, method, path string, query url.Values, out any) error {
	body, err := d.open(ctx, method, path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // read only
	if out == nil {
		_, err = io.Copy(io.Discard, body)
		return err
	}
	return json.NewDecoder(body).Decode(out)
}

// open sends a request, with a tar as its body if there is one, and returns the answer's body.
func (d *dockerAPI) open(ctx context.Context, method, path string, tar io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, tar)
	if err != nil {
		return nil, err
	}
	if tar != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	answer := struct{ Message string }{Message: resp.Status}
	_ = json.NewDecoder(resp.Body).Decode(&answer) // without JSON the status line has to do
	return nil, &dockerError{Status: resp.StatusCode, Message: answer.Message}
}

func (d *dockerAPI) ping(ctx context.Context) error {
	return d.call(ctx, http.MethodGet, "/_ping", nil, nil)
}

// bridgeName is the network interface of Docker's default network, usually docker0.
func (d *dockerAPI) bridgeName(ctx context.Context) (string, error) {
	var network struct{ Options map[string]string }
	if err := d.call(ctx, http.MethodGet, "/networks/bridge", nil, &network); err != nil {
		return "", fmt.Errorf("finding Docker's bridge: %w", err)
	}
	name := network.Options["com.docker.network.bridge.name"]
	if name == "" {
		return "", errors.New("finding Docker's bridge: Docker has no default bridge network")
	}
	return name, nil
}

// allocLabel is what Nomad's docker driver puts on every container.
const allocLabel = "com.hashicorp.nomad.alloc_id"

// removeContainers ends and removes the containers, running or not, of the given allocations.
func (d *dockerAPI) removeContainers(ctx context.Context, allocs map[string]bool) error {
	if len(allocs) == 0 {
		return nil
	}
	containers, err := d.allocContainers(ctx, true)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range containers {
		if allocs[c.Labels[allocLabel]] {
			errs = append(errs, d.removeContainer(ctx, c.ID))
		}
	}
	return errors.Join(errs...)
}

func (d *dockerAPI) removeContainer(ctx context.Context, id string) error {
	err := d.call(ctx, http.MethodDelete, "/containers/"+id, url.Values{"force": {"1"}, "v": {"1"}}, nil)
	switch {
	case isDockerStatus(err, http.StatusNotFound), isDockerStatus(err, http.StatusConflict):
		return nil // gone, or Nomad is removing it
	case err != nil:
		return fmt.Errorf("removing container %s: %w", id, err)
	}
	return nil
}
