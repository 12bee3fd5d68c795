package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

func confirmFlag(f *pflag.FlagSet) {
	f.String("confirm", "", "the name of what is to go, so that nobody asks")
}

// confirm has a person type the name of what is to go, unless --confirm has it.
func (c *call) confirm(what, name string) error {
	if given := c.text("confirm"); given != "" {
		if given != name {
			return usage("--confirm says %s, but this would %s", given, what)
		}
		return nil
	}
	f, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usage("this would %s", what).withHint("--confirm %s does it", name)
	}
	fmt.Fprintf(c.errOut, "This will %s. Type %s to go on: ", what, name) //nolint:errcheck // nobody to tell
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != name {
		return failed(exitFailed, "nothing was done")
	}
	return nil
}
