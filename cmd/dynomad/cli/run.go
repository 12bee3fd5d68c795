package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"mvdan.cc/sh/v3/syntax"

	"github.com/dynomad/dynomad/client"
	"github.com/dynomad/dynomad/client/stream"
)

func runCommands() []command {
	return []command{
		{
			use: "run [COMMAND…]", short: "Run a command once, in a dyno of its own", args: cobra.ArbitraryArgs, app: needsApp, run: runOnce,
			long: "Run a command once, in a dyno of its own with the app's image and config vars, and connect this terminal with it.\n" +
				"The exit code is the command's. Flags stand before the command. One argument is split into words as a dyno type's command is,\n" +
				"several are the words; no shell reads them. With --type the command may be left out.\n" +
				"With --detach it runs by itself: ps and logs tell how it does. With --keep it runs on by itself if the connection is lost: what it\n" +
				"writes from then on is thrown away, and its input is at its end.",
			example: "  dynomad run -a api rails console\n  dynomad run -a api \"sh -c 'echo $HOME'\"\n  dynomad run -d --type migrate -a api",
			flags: func(f *pflag.FlagSet) {
				f.SetInterspersed(false) // what stands behind the command is the command's
				f.BoolP("detach", "d", false, "do not connect, and do not wait")
				f.String("type", "", "a one-off or scheduled dyno type")
				f.StringP("size", "s", "", "the dyno's size")
				f.StringArrayP("env", "e", nil, "`NAME=VALUE` that wins over the config var; can be repeated")
				f.String("image", "", "an image to run instead of the app's")
				f.Int("ttl", 0, "seconds after which it is ended")
				f.Bool("keep", false, "let it run on if the connection is lost")
				f.Bool("no-tty", false, "no terminal: output and errors stay apart, byte for byte")
			},
		},
	}
}

func runOnce(ctx context.Context, c *call, args []string) error {
	wish, err := c.newDyno(args)
	if err != nil {
		return err
	}
	if wish.Attach && c.json {
		return usage("--json needs --detach: what the command writes is no JSON")
	}
	made, err := c.client.CreateDyno(ctx, c.app, wish)
	if err != nil {
		return err
	}
	if !wish.Attach {
		return c.show(made, func() {
			c.say("Running %s on %s.", made.Name, made.App.Name)
			c.note("dynomad logs -t -d %s -a %s shows what it writes, dynomad ps -a %s how it does", made.Name, made.App.Name, made.App.Name)
		})
	}
	c.note("%s starts …", made.Name)
	code, err := c.talk(ctx, made, wish.ForceNoTTY)
	var said *stream.Error
	switch {
	case errors.As(err, &said):
		return failed(exitFailed, "%s: %s", made.Name, said.Message)
	case err != nil:
		return err
	case code != 0:
		return failed(code, "%s has ended with exit code %d", made.Name, code)
	}
	return nil
}

// newDyno is what is to be run.
func (c *call) newDyno(args []string) (client.NewDyno, error) {
	ttl, err := c.flags.GetInt("ttl")
	if err != nil {
		return client.NewDyno{}, err
	}
	wish := client.NewDyno{
		Type: c.text("type"), Attach: !c.is("detach"), Size: c.text("size"), Image: c.text("image"), TimeToLive: ttl,
		ForceNoTTY: c.is("no-tty") || !c.atTerminal(),
	}
	if len(args) == 0 && wish.Type == "" {
		return wish, usage("what is to be run?").withHint("usage: dynomad run [COMMAND…]")
	}
	if wish.Command, err = commandOf(args); err != nil {
		return wish, err
	}
	pairs, err := c.flags.GetStringArray("env")
	if err != nil {
		return wish, err
	}
	wish.Env = map[string]string{}
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return wish, usage("--env number %d is no NAME=VALUE", i+1)
		}
		wish.Env[name] = value
	}
	return wish, nil
}

// commandOf makes a command of arguments: one is a command as it is, several are its words.
func commandOf(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	words := make([]string, len(args))
	for i, arg := range args {
		word, err := syntax.Quote(arg, syntax.LangPOSIX)
		if err != nil {
			return "", usage("the argument %q cannot be passed on: %w", arg, err)
		}
		words[i] = word
	}
	return strings.Join(words, " "), nil
}

// atTerminal reports whether a person sits at both ends.
func (c *call) atTerminal() bool {
	in, ok := c.in.(*os.File)
	_, shown := c.env.Terminal(c.out)
	return ok && shown && term.IsTerminal(int(in.Fd()))
}

// streamURL is a dyno's attach_url at the address that the daemon is known to be found at from here.
func (c *call) streamURL(d client.Dyno) (string, error) {
	given, err := url.Parse(d.AttachURL)
	if err != nil {
		return "", fmt.Errorf("attach_url of %s: %w", d.Name, err)
	}
	return "ws" + strings.TrimPrefix(c.client.URL(), "http") + given.RequestURI(), nil
}

// talk connects the terminal with a dyno, and gives its command's exit code.
func (c *call) talk(ctx context.Context, d client.Dyno, noTTY bool) (int, error) {
	at, err := c.streamURL(d)
	if err != nil {
		return 0, err
	}
	t := stream.Terminal{TTY: !noTTY, Keep: c.is("keep"), HTTP: c.target.http, Stdin: c.in, Stdout: c.out, Stderr: c.errOut}
	if noTTY {
		return stream.Talk(ctx, at, t)
	}
	in := c.in.(*os.File) //nolint:forcetypeassert // atTerminal has looked
	sizes, stop := windowSizes(ctx, in)
	defer stop()
	t.Sizes = sizes
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return 0, err
	}
	defer term.Restore(int(in.Fd()), was) //nolint:errcheck // nobody to tell
	return stream.Talk(ctx, at, t)
}

// windowSizes gives the size of a terminal's window, and again whenever it changes.
func windowSizes(ctx context.Context, f *os.File) (<-chan stream.TerminalSize, func()) {
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	sizes := make(chan stream.TerminalSize)
	go func() {
		for {
			if width, height, err := term.GetSize(int(f.Fd())); err == nil {
				select {
				case sizes <- stream.TerminalSize{Height: height, Width: width}:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes, func() {
		signal.Stop(changed)
		cancel()
	}
}
