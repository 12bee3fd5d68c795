package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dynomad/dynomad/cmd/dynomad/cli"
)

// run executes a command line. getenv gives the environment, so that tests can have their own.
func run(ctx context.Context, args []string, getenv func(string) string) error {
	root := &cobra.Command{
		Use:           "dynomad",
		Short:         "The platform API of Heroku and Akkeris on a Nomad and Consul cluster",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddGroup(&cobra.Group{ID: "daemon", Title: "Commands for the daemon's machine:"})
	for _, cmd := range []*cobra.Command{
		serverCommand(ctx, getenv), backupCommand(ctx, getenv), restoreCommand(ctx, getenv), rebuildCommand(ctx, getenv), doctorCommand(ctx, getenv),
	} {
		cmd.GroupID = "daemon"
		root.AddCommand(cmd)
	}
	cli.Add(root, cli.Env{Getenv: getenv, Version: version}) //nolint:contextcheck // cobra passes the context to the commands
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func serverCommand(ctx context.Context, getenv func(string) string) *cobra.Command {
	config := defaultConfig()
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the daemon",
		Long: "Run the daemon. Every flag can be given as an environment variable too, as DYNOMAD_ and the flag's name in capitals\n" +
			"with underscores; a flag wins. Nomad and Consul are found by the variables of their own clients: NOMAD_ADDR,\n" +
			"NOMAD_TOKEN, NOMAD_NAMESPACE, NOMAD_CACERT …, CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN …",
		Args: cobra.NoArgs,
	}
	config.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := fromEnvironment(cmd.Flags(), getenv); err != nil {
			return err
		}
		config.RootToken = getenv("DYNOMAD_ROOT_TOKEN")
		if err := config.finish(getenv); err != nil {
			return err
		}
		return serve(ctx, config, cmd.ErrOrStderr())
	}
	return cmd
}
