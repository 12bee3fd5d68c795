package main

import (
	"fmt"
	"strings"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// notRecovered is what no job tells of.
const notRecovered = `Not read back, because no job tells of it:
  - releases before the present one, builds, audits, and the numbers of releases that failed
  - tokens: none is valid but the root token, with which to make them anew
  - spaces without apps; descriptions, labels, owners, notes on config vars, favorites
  - types that are run by request or by a schedule, and their options
  - whether a command came with the slug: all are the formation's now, and a new slug does not change them
  - settings of apps: auto-release is on and maintenance off
  - what was asked for but not registered yet, or held back because it had failed
`

// sayApp says what was read back of an app.
func (r *rebuilder) sayApp(found jobs.Recovered, vars int) {
	st := found.State
	say(r.out, "%s: release v%d of %s with %s; %s\n",
		st.App.Name, st.Wanted.Version, st.Build.Image, counted(vars, "config var"), describeTypes(st.Types))
	for _, note := range found.Notes {
		say(r.out, "  - %s\n", note)
	}
	if len(found.Replaced) > 0 {
		say(r.out, "  - WARNING: when the daemon starts with these settings, the dynos of %s are replaced, as a rollout: they were\n"+
			"    started with other settings, or somebody changed the job.\n", strings.Join(found.Replaced, ", "))
	}
}

func describeTypes(types []dynomad.DynoType) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = fmt.Sprintf("%s %d × %s", t.Type, t.Quantity, t.Size)
	}
	return strings.Join(texts, ", ")
}

// report ends the output.
func (r *rebuilder) report(lost int) {
	if lost == r.missed {
		return
	}
	say(r.out, "%s", notRecovered)
	say(r.out, "See that no other daemon of the installation %s runs, and start the daemon.\n", r.installation)
}
