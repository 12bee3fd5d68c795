package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

const (
	sampleImage = "dynomad.local/hello:1"
	stopWithin  = 20 * time.Second // for the daemon
)

// run starts everything, says where it is, and shows the daemon's log until ctx ends. Then it ends everything.
func run(ctx context.Context, cfg config, out io.Writer) (err error) {
	if err := cfg.check(ctx); err != nil {
		return err
	}
	s := &session{config: cfg, out: out}
	defer func() {
		if ctx.Err() != nil {
			err = nil // asked to end, at whatever point
		}
		err = errors.Join(err, s.end(context.WithoutCancel(ctx)))
	}()
	if err := s.startCluster(ctx); err != nil {
		return err
	}
	if cfg.noDaemon {
		s.printCluster()
		<-ctx.Done()
		return nil
	}
	if err := s.startDaemon(ctx); err != nil {
		return err
	}
	if err := s.deploySample(ctx); err != nil {
		s.say("The sample app could not be deployed: %v", err)
	}
	s.printAll()
	return s.showLog(ctx)
}

// session is what runs.
type session struct {
	config  config
	out     io.Writer
	cluster *nomadtest.Cluster
	daemon  *nomadtest.Process
}

func (s *session) startCluster(ctx context.Context) error {
	s.say("Starting Docker, Consul, Nomad and Traefik ...")
	start := time.Now()
	cluster, err := nomadtest.Start(ctx, nomadtest.Config{
		Ports: nomadtest.Ports{
			NomadHTTP:  s.config.nomadPort,
			ConsulHTTP: s.config.consulPort,
			Router:     s.config.routerPort,
		},
		DataDir: s.config.keep,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "devcluster", Level: hclog.Warn}),
	})
	if err != nil {
		return err
	}
	s.cluster = cluster
	s.say("... in %.0f s. Building the sample image %s ...", time.Since(start).Seconds(), sampleImage)
	root, err := nomadtest.RepoRoot()
	if err != nil {
		return err
	}
	return cluster.BuildImage(ctx, sampleImage, filepath.Join(root, "testdata", "apps", "hello"))
}

// end ends the daemon first, so that it does not see its cluster go.
func (s *session) end(ctx context.Context) error {
	s.say("\nEnding everything (Ctrl-C again to kill) ...")
	var errs []error
	if s.daemon != nil {
		ctx, cancel := context.WithTimeout(ctx, stopWithin)
		defer cancel()
		errs = append(errs, s.daemon.Stop(ctx))
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close()) //nolint:contextcheck // it bounds itself
	}
	if s.config.keep != "" {
		s.say("The data is kept in %s.", s.config.keep)
	}
	return errors.Join(errs...)
}

// say prints a line for the developer. A terminal that has gone away is no reason to stop.
func (s *session) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}
