package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func loginCommands() []command {
	return []command{
		{
			use: "login [URL]", short: "Keep a daemon's URL and a token for the other commands", args: cobra.MaximumNArgs(1), offline: true, run: login,
			long: "Ask for a token, check it, and keep it with the daemon's URL in a file that only you can read. Without a terminal the\n" +
				"token is read from standard input. DYNOMAD_URL and DYNOMAD_TOKEN win over the file, whose token is sent to no other URL.\n" +
				"DYNOMAD_CA_CERT names a file with the certificate that signed the daemon's, if this machine does not know it; it is kept too.",
			example: "  dynomad login http://127.0.0.1:5000\n  dynomad login https://dynomad.example < token",
		},
		{use: "logout", short: "Forget the token of dynomad login", offline: true, run: logout},
		{use: "whoami", short: "Show who the token is, and for which daemon", run: whoami},
	}
}

func login(ctx context.Context, c *call, args []string) error {
	t, err := findTarget(c.env.Getenv)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		t.URL = strings.TrimSuffix(args[0], "/")
	}
	if t.Token, err = c.askToken(t.URL); err != nil {
		return err
	}
	t.from = "standard input"
	if c.client, err = t.connect(c.env.Version); err != nil {
		return err
	}
	c.target = t
	who, err := c.client.Account(ctx)
	if err != nil {
		return err
	}
	if unprotected(t.URL) {
		c.note("Warning: %s is not encrypted; the token can be read on its way.", t.URL)
	}
	path, err := saveCredentials(c.env.Getenv, t)
	if err != nil {
		return fmt.Errorf("keep the token: %w", err)
	}
	return c.show(who, func() { c.say("Logged in to %s as %s. The token is in %s.", t.URL, who.Email, path) })
}

// askToken reads a token: from the terminal, without showing it, or from what standard input is.
func (c *call) askToken(daemon string) (string, error) {
	var text string
	if f, ok := c.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(c.errOut, "Token for %s: ", daemon) //nolint:errcheck // nobody to tell
		secret, err := term.ReadPassword(int(f.Fd()))
		c.note("")
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		text = string(secret)
	} else {
		line, err := bufio.NewReader(io.LimitReader(c.in, 1<<16)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the token: %w", err)
		}
		text = line
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", usage("no token was given").withHint("the first one is in the file root-token of the daemon's data folder")
	}
	return text, nil
}

// unprotected reports whether a token to a URL leaves this machine in the clear.
func unprotected(daemon string) bool {
	u, err := url.Parse(daemon)
	if err != nil || u.Scheme == "https" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

func logout(_ context.Context, c *call, _ []string) error {
	path, err := dropCredentials(c.env.Getenv)
	if err != nil {
		return err
	}
	return c.show(map[string]bool{"logged_out": true}, func() {
		if path == "" {
			c.say("There was no token to forget.")
			return
		}
		c.say("Removed %s. The token itself is still good: dynomad tokens:revoke ends it.", path)
	})
}

func whoami(ctx context.Context, c *call, _ []string) error {
	who, err := c.client.Account(ctx)
	if err != nil {
		return err
	}
	return c.show(who, func() { c.say("%s at %s (token %s)", who.Email, c.target.URL, who.ID) })
}
