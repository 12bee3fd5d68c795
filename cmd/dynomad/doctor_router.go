package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// doctorHost is the first part of a host under the apps' domain that no app has: names of apps have no more than one dash between words.
const doctorHost = "dynomad--doctor"

// checkRouter wants the router to know Dynomad's routes: a host that is no app's is led to the daemon's own pages, which say so.
func (d *doctor) checkRouter(ctx context.Context) {
	switch {
	case !d.running:
		d.skip("router", "No daemon runs on this data folder, so that there is nothing to lead visitors to.")
		return
	case d.consul == nil || d.installation == "":
		d.skip("router", "It cannot be told which service the pages of this installation are.")
		return
	}
	service := "dynomad-fallback-" + d.installation
	all, passing, err := d.consul.Passing(ctx, service)
	switch {
	case err != nil:
		d.skip("router", "Consul does not tell of the service "+service+".")
		return
	case passing == 0:
		d.wrong("router", "GET /readyz says why the daemon does not register it: mostly the lock, or a right that its Consul token lacks",
			"The service %s has %s, of which none passes: routers do not know the daemon's pages.", service, counted(all, "instance"))
		return
	}
	d.visit(ctx)
}

// visit asks the router for a page of an app that there is not.
func (d *doctor) visit(ctx context.Context) {
	host := doctorHost + "." + d.config.AppDomain
	base := d.router
	if base == "" {
		base = strings.ReplaceAll(d.config.WebURL, "{host}", host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base, nil)
	if err != nil {
		d.wrong("router", "--router takes a URL, like http://10.0.0.5:80", "%q is no URL.", base)
		return
	}
	req.Host = host
	const do = "check that the router runs and reads Consul's catalog (docs/cluster.md, The router); --router says where it is, if DNS does not lead there from here"
	resp, err := d.http.Do(req)
	var dns *net.DNSError
	var u *url.Error
	switch {
	case errors.As(err, &dns):
		d.wrong("router", "have DNS lead *."+d.config.AppDomain+" to the router, or say with --router where it is", "There is no host %s.", dns.Name)
		return
	case errors.As(err, &u):
		d.wrong("router", do, "The router at %s does not answer: %s.", base, reason(u.Err))
		return
	case err != nil:
		d.wrong("router", do, "The router at %s does not answer: %s.", base, reason(err))
		return
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var page struct{ ID, Message string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what is missing of it is no JSON
	if resp.StatusCode != http.StatusNotFound || json.Unmarshal(text, &page) != nil || page.ID != "not_found" {
		d.wrong("router", do, "What answers at %s for %s (status %d) does not lead to the daemon's pages: it is no router that has Dynomad's routes.",
			base, host, resp.StatusCode)
		return
	}
	d.ok("router", "The router at %s has Dynomad's routes.", base)
}
