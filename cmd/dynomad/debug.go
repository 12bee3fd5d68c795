package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
)

// profiles serves Go's profiles, on an address of their own: they tell of all that is in memory, command lines too, and cost time.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// checkDebug reports what is wrong with the address of the profiles. It must be one that only this machine reaches, unless the operator says
// that the network around it is private.
func (c *Config) checkDebug() []error {
	if c.DebugListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.DebugListen)
	if err != nil {
		return []error{fmt.Errorf("debug-listen %q must be host:port", c.DebugListen)}
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || (ip != nil && ip.IsLoopback()); loopback || c.DebugPublic {
		return nil
	}
	return []error{fmt.Errorf("debug-listen %q is not a loopback address: whoever reaches it reads the daemon's memory; "+
		"--debug-public allows it all the same", c.DebugListen)}
}
