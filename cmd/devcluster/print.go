package main

import (
	"fmt"
	"path/filepath"
)

// printAll says where everything is, and what to try.
func (s *session) printAll() {
	api := s.apiURL()
	auth := fmt.Sprintf(`-H "Authorization: Bearer $(cat %s)"`, s.tokenFile())
	s.say("")
	s.say("API           %s (what it can do: %s/docs)", api, api)
	if !s.config.noSample {
		s.say("Sample app    http://%s:%d", sampleHost, s.config.routerPort)
		s.say("              curl -H 'Host: %s' http://%s/", sampleHost, local(s.config.routerPort))
	}
	s.say("No such app   http://nobody-default.%s:%d", appDomain, s.config.routerPort)
	s.printCluster()
	s.say("Root token    %s", s.tokenFile())
	s.say("")
	s.say("Try:")
	if s.config.noSample {
		s.say("  curl %s %s/apps", auth, api)
		s.say("  curl %s %s/apps -d '{\"name\":\"hello\"}'", auth, api)
		s.say("  curl %s %s/apps/%s/builds -d '{\"url\":\"docker://%s\"}'", auth, api, sampleApp, sampleImage)
	} else {
		s.say("  curl %s %s/apps/%s/dynos", auth, api, sampleApp)
		s.say("  curl %s %s/apps/%s/formation/web -X PATCH -d '{\"quantity\":2}'", auth, api, sampleApp)
		s.say("  curl %s %s/apps/%s/config-vars -X PATCH -d '{\"GREETING\":\"hi\"}'", auth, api, sampleApp)
	}
	s.say("or, with the commands (bin/dynomad --help):")
	s.say("  bin/dynomad login %s < %s", api, s.tokenFile())
	s.say("  bin/dynomad apps")
	s.say("")
	s.say("Ctrl-C ends everything. The daemon's log:")
	s.say("")
}

// printCluster says where the cluster's parts are.
func (s *session) printCluster() {
	s.say("Nomad UI      http://%s/ui", s.cluster.NomadAddr())
	s.say("Consul UI     http://%s/ui", s.cluster.ConsulAddr())
	s.say("Router        http://%s (its routes: http://%s/dashboard/)", s.cluster.RouterAddr(), s.cluster.RouterAPIAddr())
	s.say("Docker        %s", s.cluster.DockerHost())
	s.say("Logs          %s", filepath.Join(s.cluster.Dir(), "{nomad,consul,traefik}.log"))
}
