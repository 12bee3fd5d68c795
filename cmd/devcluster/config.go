package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"
)

// config is what the developer chose.
type config struct {
	nomadPort  int
	consulPort int
	routerPort int
	apiPort    int
	keep       string // lasting data directory; "" is a temporary one
	daemon     string // path of the daemon's binary
	noDaemon   bool
	noSample   bool
}

// portSetting is a port with the names under which it can be set.
type portSetting struct {
	flag, variable, what string
	standard             int
	port                 *int
}

func (c *config) ports() []portSetting {
	return []portSetting{
		{"nomad-port", "DEV_NOMAD_PORT", "Nomad's API and UI", 4646, &c.nomadPort},
		{"consul-port", "DEV_CONSUL_PORT", "Consul's API and UI", 8500, &c.consulPort},
		{"router-port", "DEV_ROUTER_PORT", "the router, where the apps are", 8080, &c.routerPort},
		{"api-port", "DEV_API_PORT", "the daemon's API", 5000, &c.apiPort},
	}
}

// newCommand is the command line. Environment variables give the defaults of the ports.
func newCommand(getenv func(string) string, out io.Writer) *cobra.Command {
	var cfg config
	var problems []error
	command := &cobra.Command{
		Use:           "devcluster",
		Short:         "Run Docker, Consul, Nomad, Traefik, the daemon and a sample app on this machine",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(problems...); err != nil {
				return err
			}
			return run(cmd.Context(), cfg, out)
		},
	}
	flags := command.Flags()
	for _, p := range cfg.ports() {
		value, err := portFrom(getenv, p)
		problems = append(problems, err)
		flags.IntVar(p.port, p.flag, value, "port of "+p.what+" ("+p.variable+")")
	}
	flags.StringVar(&cfg.keep, "keep", "", "keep the data in this directory, for the next time")
	flags.StringVar(&cfg.daemon, "daemon", "bin/dynomad", "path of the daemon")
	flags.BoolVar(&cfg.noDaemon, "no-daemon", false, "start the cluster only")
	flags.BoolVar(&cfg.noSample, "no-sample", false, "deploy no sample app")
	return command
}

func portFrom(getenv func(string) string, p portSetting) (int, error) {
	text := getenv(p.variable)
	if text == "" {
		return p.standard, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return p.standard, fmt.Errorf("%s is %q, which is no port", p.variable, text)
	}
	return port, nil
}

// check finds what would stop the start later, when half of it is done.
func (c *config) check(ctx context.Context) error {
	var problems []error
	if !c.noDaemon {
		if _, err := os.Stat(c.daemon); err != nil {
			problems = append(problems, fmt.Errorf("the daemon is not built: run \"make build\": %w", err))
		}
	}
	return errors.Join(append(problems, c.checkPorts(ctx))...)
}

// checkPorts says of every port that is taken how to choose another.
func (c *config) checkPorts(ctx context.Context) error {
	var problems []error
	for _, p := range c.ports() {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", local(*p.port))
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("port %d (%s) is taken: choose another with %s=PORT", *p.port, p.what, p.variable))
		}
	}
	return errors.Join(problems...)
}

// local is the address of a port on this machine.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
