package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func tokenCommands() []command {
	return []command{
		{use: "tokens", short: "List tokens; never the secrets", run: listTokens},
		{
			use: "tokens:create", short: "Make a token and print it, once", run: createToken,
			long:    "Make a token. It alone goes to standard output, so that it can be piped. Nobody grants more than they have.",
			example: "  dynomad tokens:create --scope write --for-app api --expires-in 720h -d ci",
			flags: func(f *pflag.FlagSet) {
				f.StringSlice("scope", []string{"read"}, "global, read, write, read-protected, write-protected")
				f.StringP("description", "d", "", "what it is for")
				f.String("for-app", "", "tie it to an app")
				f.String("for-space", "", "tie it to a space")
				f.Duration("expires-in", 0, "how long it is good, like 24h; 0 is for ever")
			},
		},
		{
			use: "tokens:revoke ID", short: "End a token, and all that were made with it", args: cobra.ExactArgs(1), complete: completeTokens,
			run: revokeToken,
		},
	}
}

func listTokens(ctx context.Context, c *call, _ []string) error {
	tokens, err := c.client.Authorizations(ctx)
	if err != nil {
		return err
	}
	return c.show(tokens, func() {
		var rows [][]cell
		for _, t := range tokens {
			rows = append(rows, cells(t.ID, strings.Join(t.Scope, ","), tieOf(t), expiry(t), orDash(t.Description)))
		}
		c.table([]string{"ID", "SCOPES", "TIED TO", "EXPIRES", "DESCRIPTION"}, rows)
	})
}

func tieOf(t client.Authorization) string {
	switch {
	case t.App != nil:
		return "app " + t.App.ID
	case t.Space != nil:
		return "space " + t.Space.ID
	}
	return "-"
}

func expiry(t client.Authorization) string {
	if t.AccessToken.ExpiresIn == nil {
		return "never"
	}
	return "in " + (time.Duration(*t.AccessToken.ExpiresIn) * time.Second).String()
}

func createToken(ctx context.Context, c *call, _ []string) error {
	scopes, err := c.flags.GetStringSlice("scope")
	if err != nil {
		return err
	}
	life, err := c.flags.GetDuration("expires-in")
	if err != nil {
		return err
	}
	if life < 0 {
		return usage("--expires-in must not be negative")
	}
	app := c.text("for-app")
	if app != "" {
		if app, err = appName(app, ""); err != nil {
			return err
		}
	}
	token, err := c.client.CreateAuthorization(ctx, client.NewAuthorization{
		Scope: scopes, Description: c.text("description"), App: app, Space: c.text("for-space"), ExpiresIn: life,
	})
	if err != nil {
		return err
	}
	return c.show(token, func() {
		c.note("Token %s (%s) expires: %s. It is shown this once:", token.ID, strings.Join(token.Scope, ", "), expiry(token))
		if token.AccessToken.Token != nil {
			c.say("%s", *token.AccessToken.Token)
		}
	})
}

func revokeToken(ctx context.Context, c *call, args []string) error {
	token, err := c.client.DeleteAuthorization(ctx, args[0])
	if err != nil {
		return err
	}
	return c.show(token, func() { c.say("Revoked the token %s.", token.ID) })
}
