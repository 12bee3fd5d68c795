package logs

import (
	"context"
	"time"

	"github.com/dynomad/dynomad"
)

// Output is where a dyno's output is found: of any dyno that is one task of one allocation.
type Output struct {
	Alloc     string // the allocation's id
	Namespace string // Nomad's
	Task      string
	DynoID    string
	Name      string // ten digits, a dash, five letters
	Proc      string // "web.1"
	Type      string
	Began     time.Time // all that it has written it wrote since then
	Ended     bool      // nothing is written any more
	EndedAt   time.Time // by the node's clock, or zero
}

// Picture is an app at one moment.
type Picture struct {
	Dynos   []dynomad.Dyno
	Outputs []Output // of dynos whose processes were started
	Whole   bool     // no output that there is can be missing
}

// Apps tells of apps.
type Apps interface {
	// Look gives an app's picture, from memory. It is NotFound if the app is gone.
	Look(ctx context.Context, appID string) (Picture, error)
	// Audits lists an app's audits after one by number, oldest first; of more than most, if that is not 0, the newest.
	Audits(ctx context.Context, appID string, after int64, most int) ([]dynomad.Audit, error)
}

// Line is a line of a dyno's output.
type Line struct {
	At   time.Time
	Text string
}

// Place is a place in one of a dyno's two streams: a byte of one of the files that Nomad keeps it in. The zero Place is the
// beginning.
type Place struct{ File, Offset int64 }

// Position is a place in each of a dyno's two streams.
type Position struct{ Stdout, Stderr Place }

// Follow is a wish to have an output followed.
type Follow struct {
	Output
	From Position
	End  <-chan struct{} // closed when nothing is written any more
	// Emit takes lines as they come, and the position after them. It is called by one goroutine at a time.
	Emit func([]Line, Position)
	// Missed is told, in a sentence, that lines were lost.
	Missed func(string)
}

// Outputs reads what dynos write.
type Outputs interface {
	// Tail gives the last lines that are there, at most so many of each stream, oldest first, and the position after them. If the
	// output has ended, an unfinished line is among them.
	Tail(ctx context.Context, o Output, lines int) ([]Line, Position, error)
	// Follow emits each line once, in each stream's order, whatever becomes of connections, until the output has ended and all
	// of it is read, or ctx ends.
	Follow(ctx context.Context, f Follow) error
}
