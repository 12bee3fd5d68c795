package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dynomad/dynomad/client"
)

// completeTime bounds how long a shell waits for names.
const completeTime = 3 * time.Second

// completion asks the daemon for the names that fit next. Without an answer there are none: a shell has no place for errors.
func completion(env Env, row command, names func(context.Context, *call, []string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		free := row // the app may be what is completed
		free.app = noApp
		c, _, err := free.call(cmd, env, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if row.app == needsApp {
			name, _ := cmd.Flags().GetString("app")
			c.app, _ = appName(name, env.Getenv("DYNOMAD_APP")) // "" has nothing to complete
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
		defer cancel()
		return names(ctx, c, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// each gives the names of a list of things; none if they could not be asked for.
func each[T any](list []T, err error, name func(T) string) []string {
	if err != nil {
		return nil
	}
	names := make([]string, len(list))
	for i, item := range list {
		names[i] = name(item)
	}
	return names
}

func completeApps(ctx context.Context, c *call, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	apps, err := c.client.Apps(ctx)
	return each(apps, err, func(a client.App) string { return a.Name })
}

func completeTypes(ctx context.Context, c *call, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	types, err := c.client.Formation(ctx, c.app)
	return each(types, err, func(t client.DynoType) string { return t.Type })
}

func completeScales(ctx context.Context, c *call, _ []string) []string {
	types, err := c.client.Formation(ctx, c.app)
	return each(types, err, func(t client.DynoType) string { return fmt.Sprintf("%s=%d", t.Type, t.Quantity) })
}

func completeDynos(ctx context.Context, c *call, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	dynos, err := c.client.HerokuDynos(ctx, c.app)
	return each(dynos, err, func(d client.Dyno) string { return d.Name })
}

func completeDynosAndTypes(ctx context.Context, c *call, args []string) []string {
	return append(completeTypes(ctx, c, args), completeDynos(ctx, c, args)...)
}

func completeVars(ctx context.Context, c *call, _ []string) []string {
	vars, err := c.client.ConfigVars(ctx, c.app)
	return each(slices.Sorted(maps.Keys(vars)), err, func(name string) string { return name })
}

func completeReleases(ctx context.Context, c *call, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	releases, err := c.client.Releases(ctx, c.app)
	slices.Reverse(releases)
	return each(releases, err, client.Release.Tag)
}

func completeSpaces(ctx context.Context, c *call, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	spaces, err := c.client.Spaces(ctx)
	return each(spaces, err, func(s client.Space) string { return s.Name })
}

func completeTokens(ctx context.Context, c *call, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	tokens, err := c.client.Authorizations(ctx)
	return each(tokens, err, func(t client.Authorization) string { return t.ID })
}
