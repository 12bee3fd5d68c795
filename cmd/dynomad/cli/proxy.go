package cli

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func proxyCommands() []command {
	return []command{{
		use: "proxy [-- COMMAND...]", short: "Forward 127.0.0.1 to the daemon, for the heroku command line", args: cobra.ArbitraryArgs, run: proxy,
		long: "Listen on 127.0.0.1 and forward to the daemon with your token, so that the heroku command line, which talks to its own hosts\n" +
			"and to 127.0.0.1 only, works with a daemon elsewhere. Requests must carry a key that is made anew each time and is printed\n" +
			"with the other variables that heroku needs: nobody else on this machine, and no web page, can use the way in.\n\n" +
			"With a COMMAND it is run with those variables, and the forwarding ends with it.",
		example: "  dynomad proxy -- heroku ps -a api-default\n  dynomad proxy --port 5080",
		flags:   func(f *pflag.FlagSet) { f.Int("port", 0, "port to listen on (default a free one)") },
	}}
}

func proxy(ctx context.Context, c *call, args []string) error {
	if _, err := c.client.Account(ctx); err != nil {
		return err
	}
	port, err := c.flags.GetInt("port")
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("listen on 127.0.0.1: %w", err)
	}
	key := rand.Text()
	handler, err := forward(c.target, key)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	vars := herokuVars("http://"+listener.Addr().String(), key)
	if len(args) > 0 {
		err = c.runWith(ctx, vars, args)
	} else {
		err = c.announce(vars)
		select {
		case <-ctx.Done():
		case e := <-done:
			return e
		}
	}
	if closed := srv.Close(); err == nil && !errors.Is(closed, http.ErrServerClosed) {
		err = closed
	}
	return err
}

// herokuVars are what the heroku command line needs to use another host, and to keep its talk to itself.
func herokuVars(address, key string) [][2]string {
	return [][2]string{
		{"HEROKU_HOST", address},
		{"HEROKU_API_KEY", key},
		{"HEROKU_PARTICLEBOARD_URL", address},
		{"HEROKU_SKIP_NEW_VERSION_CHECK", "true"},
		{"DISABLE_TELEMETRY", "true"},
		{"IS_HEROKU_TEST_ENV", "true"},
	}
}

func (c *call) announce(vars [][2]string) error {
	object := map[string]string{}
	for _, v := range vars {
		object[v[0]] = v[1]
	}
	return c.show(object, func() {
		for _, v := range vars {
			c.say("export %s=%s", v[0], v[1])
		}
		c.note("Forwarding to %s until Ctrl-C. In another terminal, set the variables above; then: heroku apps", c.target.URL)
	})
}

// runWith runs a command with more variables, on this terminal. Its exit code becomes ours.
func (c *call) runWith(ctx context.Context, vars [][2]string, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // what the user asked for
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.in, c.out, c.errOut
	cmd.Env = os.Environ()
	for _, v := range vars {
		cmd.Env = append(cmd.Env, v[0]+"="+v[1])
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return failed(exit.ExitCode(), "%s ended with exit code %d", args[0], exit.ExitCode())
	}
	return err
}

// forward sends requests that carry the key on to the daemon, with the token in its place.
func forward(to target, key string) (http.Handler, error) {
	base, err := url.Parse(to.URL)
	if err != nil {
		return nil, usage("%w", err)
	}
	var transport http.RoundTripper // nil is the usual one
	if to.http != nil {
		transport = to.http.Transport
	}
	through := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(base)
			r.Out.Header.Set("Authorization", "Bearer "+to.Token)
			r.Out.Header.Del("Cookie")
		},
		FlushInterval: -1, // logs are streamed
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			refuse(w, http.StatusServiceUnavailable, "unavailable", to.URL+" does not answer.")
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(keyOf(r)), []byte(key)) != 1 {
			refuse(w, http.StatusUnauthorized, "unauthorized", "The key of dynomad proxy is needed: HEROKU_API_KEY.")
			return
		}
		through.ServeHTTP(w, r)
	}), nil
}

// keyOf takes the key out of a request, as the daemon takes tokens.
func keyOf(r *http.Request) string {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return strings.TrimSpace(rest)
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(plain), ":")
		return password
	}
	return scheme
}

func refuse(w http.ResponseWriter, status int, id, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, "{\"id\":%q,\"message\":%q}\n", id, message) //nolint:errcheck // fails only when the client is gone
}
