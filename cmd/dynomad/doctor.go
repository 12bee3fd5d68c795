package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/consul"
)

// What a check comes to.
const (
	statusOK      = "ok"
	statusAdvice  = "advice"  // it works, but should be otherwise
	statusWrong   = "wrong"   // it does not work, or not for long
	statusSkipped = "skipped" // it cannot be told, for what another check found
)

// finding is what one check of dynomad doctor found.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	What   string `json:"what"`         // a sentence
	Do     string `json:"do,omitempty"` // what the operator can do about it
}

// diagnosis is all that dynomad doctor found.
type diagnosis struct {
	OK       bool      `json:"ok"` // nothing is wrong; there may be advice
	Findings []finding `json:"findings"`
}

// doctorTime bounds the whole of it.
const doctorTime = time.Minute

// doctor checks a cluster, and what the daemon has on its machine, for what would keep the daemon from its work. It changes nothing.
type doctor struct {
	config *Config
	nomad  *nomad.Client
	consul *consul.Probe
	router string // base URL at which the router is reached; "" is where the apps' web_url leads
	http   *http.Client

	installation string // "" if the database could not tell
	running      bool   // a daemon has the data folder

	found []finding
}

func doctorCommand(ctx context.Context, getenv func(string) string) *cobra.Command {
	config := defaultConfig()
	d := &doctor{config: config, http: &http.Client{Timeout: 10 * time.Second}}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the cluster, the settings and the data folder for what is wrong with them",
		Long: "Check what the daemon needs: Nomad and Consul, the rights of its tokens, the nodes, the router, the clocks, the data folder, the\n" +
			"database and its key. It takes the daemon's settings and runs on its machine, beside it or without it, and changes nothing.\n" +
			"The exit code is 1 if something is wrong.",
		Args: cobra.NoArgs,
	}
	config.flags(cmd.Flags())
	cmd.Flags().StringVar(&d.router, "router", "", "base URL at which the router is reached (default where the apps' web_url leads)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, for programs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := fromEnvironment(cmd.Flags(), getenv); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, doctorTime)
		defer cancel()
		return d.run(ctx, getenv, cmd.OutOrStdout(), asJSON)
	}
	return cmd
}

// run makes all checks and prints what they found. The error says only how many found something wrong.
func (d *doctor) run(ctx context.Context, getenv func(string) string, out io.Writer, asJSON bool) error {
	d.checkSettings(getenv)
	d.checkDataFolder(ctx)
	d.checkNomad(ctx)
	d.checkConsul(ctx)
	d.checkRouter(ctx)
	wrong := 0
	for _, f := range d.found {
		if f.Status == statusWrong {
			wrong++
		}
	}
	if err := d.print(out, asJSON, wrong == 0); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %s found something wrong", wrong, counted(len(d.found), "check"))
	}
	return nil
}

func (d *doctor) print(out io.Writer, asJSON, ok bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(diagnosis{OK: ok, Findings: d.found})
	}
	for _, f := range d.found {
		_, err := fmt.Fprintf(out, "%-8s %-16s %s\n", f.Status, f.Check, f.What)
		if f.Do != "" {
			_, doErr := fmt.Fprintf(out, "%-8s %-16s -> %s\n", "", "", f.Do)
			err = errors.Join(err, doErr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found = append(d.found, finding{Check: check, Status: statusOK, What: fmt.Sprintf(format, args...)})
}

func (d *doctor) skip(check, why string) {
	d.found = append(d.found, finding{Check: check, Status: statusSkipped, What: why})
}

func (d *doctor) wrong(check, do, format string, args ...any) {
	d.found = append(d.found, finding{Check: check, Status: statusWrong, What: fmt.Sprintf(format, args...), Do: do})
}

func (d *doctor) advise(check, do, format string, args ...any) {
	d.found = append(d.found, finding{Check: check, Status: statusAdvice, What: fmt.Sprintf(format, args...), Do: do})
}

// checkSettings reports all that is wrong with the settings, and makes the clients of Nomad and Consul by theirs.
func (d *doctor) checkSettings(getenv func(string) string) {
	const do = "docs/settings.md has the settings; dynomad doctor takes those that the daemon has"
	good := true
	note := func(err error) {
		if err != nil {
			good = false
			d.wrong("settings", do, "%s.", err)
		}
	}
	note(d.config.finish(getenv))
	var err error
	if d.nomad == nil {
		d.nomad, err = nomad.New(nil)
		note(err)
	}
	if d.consul == nil {
		d.consul, err = consul.NewProbe(nil)
		note(err)
	}
	if good {
		d.ok("settings", "The settings are good.")
	}
}
