package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func logCommands() []command {
	return []command{
		{
			use: "logs", short: "Show what dynos write and what happens to them", app: needsApp, run: logs,
			long: "Show the last lines of an app's logs: what its dynos write (app) and what the platform does with them (dynomad).\n" +
				"With --tail it goes on until Ctrl-C; dynos that come later join by themselves. With --json it prints a URL that shows the same\n" +
				"without a token, for five minutes.",
			example: "  dynomad logs -t -a api\n  dynomad logs -n 500 -d worker -s app -a api",
			flags: func(f *pflag.FlagSet) {
				f.BoolP("tail", "t", false, "go on with what comes")
				f.IntP("num", "n", client.DefaultLogLines, "how many lines of before")
				f.StringP("dyno", "d", "", "only this dyno (web.1) or dyno type")
				f.StringP("source", "s", "", "only app or dynomad")
			},
		},
	}
}

func logs(ctx context.Context, c *call, _ []string) error {
	lines, err := c.flags.GetInt("num")
	if err != nil {
		return err
	}
	options := client.LogOptions{Lines: &lines, Tail: c.is("tail"), Dyno: c.text("dyno"), Source: c.text("source")}
	if c.json {
		session, err := c.client.CreateLogSession(ctx, c.app, options)
		if err != nil {
			return err
		}
		return json.NewEncoder(c.out).Encode(session)
	}
	text, err := c.client.Logs(ctx, c.app, options)
	if err != nil {
		return err
	}
	defer text.Close() //nolint:errcheck // only read
	_, err = io.Copy(c.out, text)
	if errors.Is(ctx.Err(), context.Canceled) && options.Tail {
		return nil // that is how it ends
	}
	return err
}
