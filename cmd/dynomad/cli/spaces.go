package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func spaceCommands() []command {
	return []command{
		{use: "spaces", short: "List spaces", run: listSpaces},
		{
			use: "spaces:create NAME", short: "Create a space", args: cobra.ExactArgs(1), run: createSpace,
			flags: func(f *pflag.FlagSet) {
				f.StringP("description", "d", "", "what the space is for")
				f.String("nomad-namespace", "", "the Nomad namespace of its apps (default the daemon's own)")
			},
		},
		{
			use: "spaces:destroy NAME", short: "Delete a space without apps", args: cobra.ExactArgs(1), complete: completeSpaces, run: destroySpace,
			flags: confirmFlag,
		},
	}
}

func listSpaces(ctx context.Context, c *call, _ []string) error {
	spaces, err := c.client.Spaces(ctx)
	if err != nil {
		return err
	}
	return c.show(spaces, func() {
		var rows [][]cell
		for _, s := range spaces {
			namespace := "-"
			if s.NomadNamespace != nil {
				namespace = orDash(*s.NomadNamespace)
			}
			rows = append(rows, cells(s.Name, strconv.Itoa(s.Apps), namespace, orDash(s.Description)))
		}
		c.table([]string{"SPACE", "APPS", "NOMAD NAMESPACE", "DESCRIPTION"}, rows)
	})
}

func createSpace(ctx context.Context, c *call, args []string) error {
	space, err := c.client.CreateSpace(ctx, client.NewSpace{
		Name: args[0], Description: c.text("description"), NomadNamespace: c.text("nomad-namespace"),
	})
	if err != nil {
		return err
	}
	return c.show(space, func() {
		c.say("Created the space %s. Apps in it: dynomad apps:create NAME --space %s", space.Name, space.Name)
	})
}

func destroySpace(ctx context.Context, c *call, args []string) error {
	space, err := c.client.Space(ctx, args[0])
	if err != nil {
		return err
	}
	if err := c.confirm("delete the space "+space.Name, space.Name); err != nil {
		return err
	}
	if space, err = c.client.DeleteSpace(ctx, space.ID); err != nil {
		return err
	}
	return c.show(space, func() { c.say("Deleted the space %s.", space.Name) })
}
