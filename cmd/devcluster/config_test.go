package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestPortTaken_namesTheVariable(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", local(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	command := newCommand(func(string) string { return "" }, io.Discard)
	command.SetArgs([]string{"--no-daemon", "--router-port", port})
	err = command.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), port) || !strings.Contains(err.Error(), "DEV_ROUTER_PORT") {
		t.Errorf("got %v, want an error with the port and DEV_ROUTER_PORT", err)
	}
}

func TestPortVariable_badOne(t *testing.T) {
	t.Parallel()
	command := newCommand(func(name string) string {
		if name == "DEV_API_PORT" {
			return "http"
		}
		return ""
	}, io.Discard)
	command.SetArgs(nil)
	err := command.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), `DEV_API_PORT is "http"`) {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}

func TestWithoutOtherClusters_dropsTheirVariables(t *testing.T) {
	t.Parallel()
	got := withoutOtherClusters([]string{"HOME=/x", "NOMAD_TOKEN=t", "CONSUL_HTTP_SSL=1", "DYNOMAD_LOG_LEVEL=debug"})
	if want := []string{"HOME=/x", "DYNOMAD_LOG_LEVEL=debug"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
