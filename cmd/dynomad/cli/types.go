package cli

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func typeCommands() []command {
	return []command{
		{
			use: "ps:scale [TYPE=N | TYPE+N | TYPE-N | TYPE=N:SIZE]...", short: "Set how many dynos of a type run", args: cobra.ArbitraryArgs, app: needsApp,
			complete: completeScales, run: psScale,
			long:    "Set quantities, and sizes after a colon: all of them or none. Without arguments the present ones are printed.",
			example: "  dynomad ps:scale web=3 worker+1 -a api\n  dynomad ps:scale web=2:gp3 -a api",
		},
		{
			use: "ps:create TYPE", short: "Create a dyno type", args: cobra.ExactArgs(1), app: needsApp, run: psCreate,
			example: "  dynomad ps:create worker -c 'node worker.js' -q 2 -s gp1 -a api\n  dynomad ps:create web -p 8080 --healthcheck /health -a api",
			flags: func(f *pflag.FlagSet) {
				typeFlags(f)
				f.Bool("oneoff", false, "run by request only, never kept up")
				f.String("schedule", "", "run at these times: five fields of cron, in UTC")
			},
		},
		{
			use: "ps:update TYPE", short: "Change a dyno type", args: cobra.ExactArgs(1), app: needsApp, complete: completeTypes, run: psUpdate,
			flags: func(f *pflag.FlagSet) {
				typeFlags(f)
				f.String("schedule", "", "run at these times")
				f.Bool("no-command", false, "back to the image's own command")
				f.Bool("no-healthcheck", false, "back to whether the port accepts connections")
			},
		},
		{
			use: "ps:destroy TYPE", short: "Remove a dyno type and its dynos", args: cobra.ExactArgs(1), app: needsApp, complete: completeTypes,
			run: psDestroy, flags: confirmFlag,
		},
		{use: "sizes", short: "List the sizes of dynos", run: listSizes},
	}
}

func typeFlags(f *pflag.FlagSet) {
	f.StringP("command", "c", "", "what to run; no shell runs it (sh -c '…' to use one)")
	f.StringP("quantity", "q", "", "how many to keep up")
	f.StringP("size", "s", "", "dynomad sizes lists them")
	f.IntP("port", "p", 0, "web only: the port that the app listens on, which it finds in PORT")
	f.String("healthcheck", "", "web only: a path that must be answered with 2xx")
}

// scalePattern is an argument of ps:scale.
var scalePattern = regexp.MustCompile(`^([a-z0-9]+)(=|\+|-)([0-9]+)(?::([A-Za-z0-9-]+))?$`)

// parseScale reads an argument of ps:scale.
func parseScale(arg string) (client.TypeSpec, error) {
	m := scalePattern.FindStringSubmatch(arg)
	if m == nil {
		return client.TypeSpec{}, usage("%q is no scale", arg).withHint("write web=3, web+1, web-1 or web=3:gp2")
	}
	return client.TypeSpec{Type: m[1], Quantity: strings.TrimPrefix(m[2], "=") + m[3], Size: m[4]}, nil
}

func psScale(ctx context.Context, c *call, args []string) error {
	if len(args) == 0 {
		types, err := c.client.Formation(ctx, c.app)
		if err != nil {
			return err
		}
		return c.show(types, func() { c.say("%s", orDash(scales(types))) })
	}
	var specs []client.TypeSpec
	for _, arg := range args {
		spec, err := parseScale(arg)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	types, err := c.client.UpdateTypes(ctx, c.app, specs)
	if err != nil {
		return err
	}
	return c.show(types, func() { c.say("Scaled %s to %s.", c.app, scales(types)) })
}

// scales words quantities and sizes as ps:scale reads them.
func scales(types []client.DynoType) string {
	var words []string
	for _, t := range types {
		words = append(words, fmt.Sprintf("%s=%d:%s", t.Type, t.Quantity, t.Size))
	}
	return strings.Join(words, " ")
}

// typeSpec is what the flags say of a dyno type.
func (c *call) typeSpec() client.TypeSpec {
	spec := client.TypeSpec{Quantity: c.text("quantity"), Size: c.text("size"), RemoveCommand: c.is("no-command"), RemoveHealthcheck: c.is("no-healthcheck")}
	spec.Port, _ = c.flags.GetInt("port")
	for flag, field := range map[string]**string{"command": &spec.Command, "healthcheck": &spec.Healthcheck, "schedule": &spec.Schedule} {
		if value := c.text(flag); c.flags.Changed(flag) {
			*field = &value
		}
	}
	if c.is("oneoff") {
		yes := true
		spec.OneOff = &yes
	}
	return spec
}

func psCreate(ctx context.Context, c *call, args []string) error {
	spec := c.typeSpec()
	spec.Type = args[0]
	t, err := c.client.CreateType(ctx, c.app, spec)
	if err != nil {
		return err
	}
	return c.show(t, func() { c.say("Created %s", heading(t)) })
}

func psUpdate(ctx context.Context, c *call, args []string) error {
	t, err := c.client.UpdateType(ctx, c.app, args[0], c.typeSpec())
	if err != nil {
		return err
	}
	return c.show(t, func() { c.say("Changed %s", heading(t)) })
}

func psDestroy(ctx context.Context, c *call, args []string) error {
	t, err := c.client.DynoType(ctx, c.app, args[0])
	if err != nil {
		return err
	}
	if err := c.confirm("remove the type "+t.Type+" of "+t.App.Name+" and its dynos", t.Type); err != nil {
		return err
	}
	if t, err = c.client.DeleteType(ctx, c.app, t.ID); err != nil {
		return err
	}
	return c.show(t, func() { c.say("Removed %s of %s.", t.Type, t.App.Name) })
}

func listSizes(ctx context.Context, c *call, _ []string) error {
	sizes, err := c.client.Sizes(ctx)
	if err != nil {
		return err
	}
	return c.show(sizes, func() {
		var rows [][]cell
		for _, s := range sizes {
			rows = append(rows, cells(s.Name, s.Resources.Requests.Memory, s.Resources.Limits.Memory, s.Resources.Requests.CPU,
				strconv.Itoa(s.Price), s.Description))
		}
		c.table([]string{"SIZE", "MEMORY", "AT MOST", "CPU", "PRICE", "DESCRIPTION"}, rows)
	})
}
