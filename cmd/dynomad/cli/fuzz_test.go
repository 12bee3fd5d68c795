package cli

import (
	"strconv"
	"strings"
	"testing"
)

// FuzzScale reads the arguments of ps:scale, as "web=3 worker+1". What is taken says just what was written.
func FuzzScale(f *testing.F) {
	for _, seed := range []string{
		"web=3 worker+1", "web=2:gp3", "web-1", "web", "=1", "web=", "web=1:", "Web=1", "web=-1", "web+1:gp1-prod", "web=99999999999999999999", "a=1=2", "web=1\n", "web==1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, arg := range strings.Fields(line) {
			spec, err := parseScale(arg)
			if err != nil {
				if ExitCode(err) != exitUsage {
					t.Errorf("%q: %v", arg, err)
				}
				continue
			}
			written := spec.Type + "=" + spec.Quantity
			if strings.ContainsAny(spec.Quantity, "+-") {
				written = spec.Type + spec.Quantity
			}
			if spec.Size != "" {
				written += ":" + spec.Size
			}
			if written != arg || spec.Type == "" {
				t.Errorf("%q is taken as %+v", arg, spec)
			}
			if _, err := strconv.Atoi(spec.Quantity); err != nil && len(spec.Quantity) < 18 {
				t.Errorf("%q has the quantity %q", arg, spec.Quantity)
			}
		}
	})
}
