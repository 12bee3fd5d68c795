package jobs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
)

// ViewSettings are the operator's choices that dynos are shown by.
type ViewSettings struct {
	StartGrace     time.Duration // a check that never passed may fail this long
	MinHealthyTime time.Duration // up for so long after a crash, a dyno is no longer called crashed
	UIURL          string        // base of Nomad's UI, as http://127.0.0.1:4646/ui
	Sizes          dynomad.Sizes
}

// Health is what Consul says of a dyno's check.
type Health struct {
	Known      bool // Consul has a check of the dyno
	Passing    bool // now
	EverPassed bool
	Output     string // of the last check
}

// DynoInput is all that a dyno is made of.
type DynoInput struct {
	Settings ViewSettings
	App      dynomad.App
	Type     dynomad.DynoType // as it is wanted now; a zero one if it was deleted
	Command  Command          // of the type as wanted now
	Alloc    Alloc
	Content  *GroupContent // of the allocation's job version; nil if it is not known
	Health   Health
	Now      *Moment
}

// Command is a type's command with the words that it is split into: to split it takes longer than all else that a dyno is
// made of.
type Command struct {
	Text  *string // as the user wrote it; nil is the image's own
	words []string
}

// SplitCommand makes a Command. What cannot be split has no words.
func SplitCommand(text *string) Command {
	if text == nil {
		return Command{}
	}
	words, err := dynomad.SplitCommand("command", *text)
	if err != nil {
		words = nil
	}
	return Command{Text: text, words: words}
}

// Dyno makes a dyno of an allocation. The id of its release stays empty: only the store knows it.
func Dyno(in DynoInput) dynomad.Dyno {
	d := dynomad.Dyno{
		ID:        in.Alloc.ID,
		AllocID:   in.Alloc.ID,
		Name:      in.name(),
		TypeN:     TypeN(in.Alloc.Group, int(in.Alloc.Index)),
		AppID:     in.App.ID,
		AppName:   in.App.Name,
		Type:      in.Alloc.Group,
		Command:   in.command(),
		Size:      in.size(),
		Restarts:  int(in.Alloc.Task.Restarts),
		Node:      in.Alloc.NodeName,
		NomadURL:  in.Settings.allocURL(in.Alloc.ID),
		CreatedAt: at(in.Alloc.Created),
		UpdatedAt: at(in.Alloc.Modified),
	}
	if in.Content != nil {
		d.ReleaseVersion = in.Content.Release
	}
	d.State, d.AdditionalInfo = in.state()
	d.Ready = d.State == dynomad.StateRunning && (!in.checked() || in.passing())
	d.ExitCode = in.exitCode(d.State)
	return d
}

// name gives the name that a dyno has all its life: ten digits for what it runs, five letters for which one it is.
func (in DynoInput) name() string {
	var digits uint64
	if in.Content != nil {
		digits = in.Content.Number
	}
	if digits == 0 {
		digits = tenDigits([]byte(in.App.ID + " " + in.Alloc.Group))
	}
	return dynoName(digits, in.Alloc.ID)
}

// dynoName puts a name together.
func dynoName(digits uint64, id string) string {
	const letters, size = "abcdefghijklmnopqrstuvwxyz0123456789", 5
	sum := sha256.Sum256([]byte(id))
	n := binary.BigEndian.Uint64(sum[:8])
	var which [size]byte
	for i := range which {
		which[i] = letters[n%uint64(len(letters))]
		n /= uint64(len(letters))
	}
	return fmt.Sprintf("%010d-%s", digits, which[:])
}

// command gives the command that the dyno runs, which may be another than its type's by now. It is spelled as the user
// did, where that comes to the same words.
func (in DynoInput) command() *string {
	switch {
	case in.Content == nil:
		return in.Command.Text
	case len(in.Content.Command) == 0:
		return nil
	case slices.Equal(in.Command.words, in.Content.Command):
		return in.Command.Text
	}
	return ptr(joinWords(in.Content.Command))
}

// joinWords writes words so that splitting gives them back.
func joinWords(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoteWord(w)
	}
	return strings.Join(out, " ")
}

func quoteWord(w string) string {
	bare := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_./:=@%+,", c)
	}
	if w != "" && strings.TrimLeftFunc(w, bare) == "" {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// size names the size that the dyno was started with: Nomad knows only what it amounts to. Of several that amount to the
// same, the one that its type has now is meant, else the first.
func (in DynoInput) size() string {
	wanted, ok := in.Settings.Sizes.Find(in.Type.Size)
	if in.Content == nil || (ok && in.Content.has(wanted)) {
		return in.Type.Size
	}
	for _, s := range in.Settings.Sizes {
		if in.Content.has(s) {
			return s.Name
		}
	}
	return in.Type.Size
}

// has reports whether a group's resources are a size's, reserved with or without oversubscription.
func (c GroupContent) has(s dynomad.Size) bool {
	reserved := c.MemoryMB == s.MemoryMB || c.MemoryMB == s.MemoryLimitMB
	return c.CPU == s.CPU && c.MemoryLimitMB == s.MemoryLimitMB && reserved
}

// checked reports whether Consul checks the dyno.
func (in DynoInput) checked() bool {
	if in.Content == nil {
		return in.Alloc.Group == dynomad.Web
	}
	return in.Content.Checked
}

func (in DynoInput) passing() bool { return in.Health.Known && in.Health.Passing }

// exitCode gives the exit code of a dyno that has ended.
func (in DynoInput) exitCode(state dynomad.DynoState) *int {
	ended := state == dynomad.StateStopped || state == dynomad.StateAppCrashed || (state == dynomad.StateStartFailure && in.notExecuted())
	if !ended || in.Alloc.Task.Exit.At == 0 {
		return nil
	}
	return ptr(int(in.Alloc.Task.Exit.Code))
}

func (s ViewSettings) allocURL(id string) string {
	if s.UIURL == "" {
		return ""
	}
	return s.UIURL + "/allocations/" + id
}

// at gives a time from its nanoseconds.
func at(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// How long a dyno that has ended is listed.
const (
	listedFor      = time.Minute
	listedForBatch = time.Hour
)

// Listed reports whether an allocation is still shown: one that was told to end is for a minute after its end, a one-off
// for an hour.
func Listed(a Alloc, now *Moment) bool {
	if !a.stopped() {
		return true
	}
	ended := a.Task.Finished
	if ended == 0 {
		ended = a.Modified
	}
	long := listedFor
	if a.Batch {
		long = listedForBatch
	}
	return !now.passed(ended, long+time.Nanosecond) // the last instant counts
}
