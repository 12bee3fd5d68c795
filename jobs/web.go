package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// DefaultRouterTags are the tags that Traefik's Consul Catalog provider reads: a router for the app's host, and three
// attempts where a dyno does not answer. Entry points are left to Traefik's own default.
// See https://doc.traefik.io/traefik/routing/providers/consul-catalog/.
const DefaultRouterTags = "traefik.enable=true\n" +
	"traefik.http.routers.{{.App}}.rule=Host(`{{.Host}}`)\n" +
	"traefik.http.routers.{{.App}}.middlewares={{.App}}-retry\n" +
	"traefik.http.middlewares.{{.App}}-retry.retry.attempts=3\n" +
	"traefik.http.middlewares.{{.App}}-retry.retry.initialinterval=100ms\n"

// A check is tried no more often than Consul allows, and waits for an answer no longer than maxCheckTimeout.
const (
	minCheckInterval = time.Second
	maxCheckTimeout  = 5 * time.Second
)

// tagData is what the template of the tags may use.
type tagData struct {
	App     string // the full name
	Service string // name of the Consul service: the full name too
	Name    string // the name without its space
	Space   string
	Domain  string
	Host    string // App + "." + Domain
}

// network gives a web group a port on its node, mapped to the one that the dyno listens on.
func network(g Group) []*api.NetworkResource {
	return []*api.NetworkResource{{
		Mode:         "host",
		DynamicPorts: []api.Port{{Label: portLabel, To: g.Type.Port}},
	}}
}

// services gives the Consul service that routers find the app by. It has no canary tags: Nomad exchanges them at a
// promotion by registering anew, and the check is critical for an instant.
func services(in Input, g Group) ([]*api.Service, error) {
	tags, err := routerTags(in.RouterTags, tagData{
		App: in.App.Name, Service: JobID(in.App), Name: in.App.SimpleName, Space: in.App.Space,
		Domain: in.AppDomain, Host: in.App.Name + "." + in.AppDomain,
	})
	if err != nil {
		return nil, err
	}
	return []*api.Service{{
		Name:      JobID(in.App),
		Provider:  api.ServiceProviderConsul,
		PortLabel: portLabel,
		Tags:      tags,
		Meta: map[string]string{
			metaOwner: in.Installation, metaAppID: in.App.ID, metaApp: in.App.Name, metaType: g.Type.Type,
		},
		Checks: []api.ServiceCheck{check(in, g.Type)},
	}}, nil
}

func check(in Input, t dynomad.DynoType) api.ServiceCheck {
	c := api.ServiceCheck{
		Name:      "The dyno accepts connections",
		Type:      "tcp",
		PortLabel: portLabel,
		Interval:  in.CheckInterval,
		Timeout:   min(maxCheckTimeout, in.CheckInterval),
	}
	if t.Healthcheck != nil {
		c.Name, c.Type, c.Path = "The dyno answers HTTP", "http", *t.Healthcheck
	}
	return c
}

// checkHash stands in the group's meta, so that another check means new dynos: Nomad changes a check in place, and a wrong
// path would take dynos out of traffic that do well.
func checkHash(t dynomad.DynoType) string {
	what := "tcp"
	if t.Healthcheck != nil {
		what = "http " + *t.Healthcheck
	}
	sum := sha256.Sum256([]byte(what))
	return hex.EncodeToString(sum[:8])
}

// CheckRouterTags reports what is wrong with a template of a service's tags.
func CheckRouterTags(text string) error {
	_, err := routerTags(text, tagData{})
	return err
}

// routerTags fills in the template of the tags; every line that is not blank is one.
func routerTags(text string, data tagData) ([]string, error) {
	if text == "" {
		text = DefaultRouterTags
	}
	t, err := template.New("router tags").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the template of the router's tags: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("the template of the router's tags: %w", err)
	}
	var tags []string
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimSpace(line); line != "" {
			tags = append(tags, line)
		}
	}
	return tags, nil
}
