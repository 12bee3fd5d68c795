package dynomad

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"regexp"
	"strings"
	"time"
)

// AttachTime is how long a command may take that is run in a dyno.
const AttachTime = time.Minute

// The longest command and input of one, in bytes. A command travels to Nomad in a URL.
const (
	maxAttachCommand = 1000
	maxStdin         = 1 << 20
)

// allowedCommand is what the words of a command, joined by blanks, must match; the script is what the shell then runs.
var allowedCommand = regexp.MustCompile(`^sh -c (kill -[0-9]+ -1)$`)

// aliases are the commands that are run by name.
var aliases = map[string]alias{
	"java_heap_dump": {script: heapDump, encode: gzipBase64},
}

type alias struct {
	script string
	encode func(io.Writer) io.WriteCloser
}

// heapDump is jcmd 0 GC.heap_dump. It is the JVM that writes the dump, to a file and maybe as another user: hence the open
// folder. Options that are meant for the app's JVM would keep jcmd, a JVM too, from starting.
const heapDump = `unset JAVA_TOOL_OPTIONS
mkdir -m 1777 "$scratch" && jcmd 0 GC.heap_dump "$scratch/heap.hprof" >&2 && cat "$scratch/heap.hprof"`

// Attach is a wish to run a command in a dyno: one that the allowlist has, by its words or by its alias.
type Attach struct {
	Command []string
	Alias   string
	Stdin   string
}

// exec checks the wish and makes a script of it. What is run depends on the command's text and not on how it was cut into
// words: "sh -c kill -15 -1" is always the shell with one script.
func (a Attach) exec() (Exec, error) {
	switch {
	case len(a.Command) == 0 && a.Alias == "":
		return Exec{}, Invalidf("command", "A command or an alias is needed.")
	case len(a.Command) > 0 && a.Alias != "":
		return Exec{}, Invalidf("alias", "There may be a command or an alias, not both.")
	case len(a.Stdin) > maxStdin:
		return Exec{}, Invalidf("stdin", "The stdin must not be longer than 1 MiB.")
	case a.Alias != "":
		known, ok := aliases[a.Alias]
		if !ok {
			return Exec{}, Errorf(Forbidden, "The alias %s is not among the allowed ones.", clip(a.Alias))
		}
		return Exec{Name: a.Alias, Script: known.script, Stdin: a.Stdin, Encode: known.encode}, nil
	}
	joined := strings.Join(a.Command, " ")
	match := allowedCommand.FindStringSubmatch(joined)
	if match == nil {
		return Exec{}, Errorf(Forbidden, "The command %s is not among the allowed ones.", clip(joined))
	}
	if len(joined) > maxAttachCommand {
		return Exec{}, Invalidf("command", "The command must not be longer than %d bytes.", maxAttachCommand)
	}
	return Exec{Name: joined, Script: match[1], Stdin: a.Stdin}, nil
}

// Exec is a script for the shell of a dyno that runs. It is run in the dyno's container, by the container's user.
type Exec struct {
	App  App
	Dyno Dyno
	Name string // what the script is called where people read

	// Script is run by sh. It finds in $scratch a path in its container that is free, where it may make a file or folder; that
	// is removed afterwards, however the script ends.
	Script string
	Stdin  string
	Encode func(io.Writer) io.WriteCloser // what stdout goes through as it arrives; nil for nothing
}

// Executed is how a script ended. Close must be called once the output is read.
type Executed struct {
	ExitCode       int
	Stdout, Stderr io.ReadCloser
}

// Close frees what keeps the output.
func (e Executed) Close() {
	_ = e.Stdout.Close() // only read
	_ = e.Stderr.Close()
}

// gzipBase64 gives a writer that compresses what it is given and writes that as text. Nothing stays nothing.
func gzipBase64(w io.Writer) io.WriteCloser {
	text := base64.NewEncoder(base64.StdEncoding, w)
	compressed, _ := gzip.NewWriterLevel(text, gzip.BestSpeed) // fails only for levels that do not exist
	return &compressor{text: text, gzip: compressed}
}

type compressor struct {
	text io.WriteCloser
	gzip *gzip.Writer
	used bool
}

func (c *compressor) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // gzip would begin
	}
	c.used = true
	return c.gzip.Write(p)
}

func (c *compressor) Close() error {
	if !c.used {
		return nil
	}
	if err := c.gzip.Close(); err != nil {
		return err
	}
	return c.text.Close()
}
