package dynomad

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Web is the one dyno type that has a port and gets traffic.
const Web = "web"

// RunType is the type of one-off dynos that name none; no dyno type may be called so.
const RunType = "run"

// MaxTypeName is the longest name of a dyno type, in bytes.
const MaxTypeName = 32

// Bounds of the port of a web type (Akkeris has the same).
const (
	MinPort = 1024
	MaxPort = 65535
)

// DynoType is one member of an app's formation: how to start a process of the app and how many of it to keep up.
type DynoType struct {
	ID          string
	AppID       string
	Type        string  // ^[a-z0-9]+$, at most MaxTypeName
	Command     *string // nil: the released slug's process type, else the image's own command
	Quantity    int     // 0 to Rules.MaxQuantity
	Size        string
	Port        int     // 0 on every type but web
	Healthcheck *string // path and query of an HTTP check; nil is a TCP check of the port
	OneOff      bool    // run by request only, never kept up
	Schedule    *string // five-field cron in UTC
	Options     *Options
	RestartID   string     // changed to restart every dyno of the type; "" at first
	FromSlug    bool       // created by a slug's process types, not by a user
	Record      TypeRecord // filled in when read
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Options are what a one-off type overrides when it is run.
type Options struct {
	Env   map[string]string
	Image string
}

// KeptUp reports whether dynos of this type are kept running, as opposed to run by request or schedule.
func (t DynoType) KeptUp() bool { return !t.OneOff && t.Schedule == nil }

// CommandIn gives the command that dynos of this type run under a slug with these process types; nil is the image's own.
func (t DynoType) CommandIn(processTypes map[string]string) *string {
	if t.Command != nil {
		return t.Command
	}
	if c, ok := processTypes[t.Type]; ok {
		return &c
	}
	return nil
}

// Optional is a field of a request that may be absent, null or a value.
type Optional[T any] struct {
	Set   bool // the field was sent
	Null  bool // … as null
	Value T
}

// Some makes an Optional that was sent with a value.
func Some[T any](v T) Optional[T] { return Optional[T]{Set: true, Value: v} }

// Null makes an Optional that was sent as null.
func Null[T any]() Optional[T] { return Optional[T]{Set: true, Null: true} }

// HasValue reports whether a value was sent.
func (o Optional[T]) HasValue() bool { return o.Set && !o.Null }

// TypeSpec is what a request says about one dyno type, to create or to change it.
type TypeSpec struct {
	Type              string
	Quantity          Optional[Quantity]
	Size              Optional[string]
	Port              Optional[int]
	Command           Optional[string]
	Healthcheck       Optional[string]
	RemoveCommand     bool
	RemoveHealthcheck bool
	OneOff            Optional[bool]
	Schedule          Optional[string]
	Options           Optional[Options]
}

// Quantity is a wanted number of dynos, or a difference to what there is.
type Quantity struct {
	N        int
	Relative bool // N is to be added to the present quantity
}

var (
	typePattern     = regexp.MustCompile(`^[a-z0-9]+$`)
	quantityPattern = regexp.MustCompile(`^[+-]?[0-9]{1,9}$`)
)

// ParseQuantity reads "3" or, relative, "+1" and "-1".
func ParseQuantity(s string) (Quantity, error) {
	if !quantityPattern.MatchString(s) {
		return Quantity{}, Invalidf("quantity", "The quantity %s is no whole number.", quoted(s))
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return Quantity{}, Invalidf("quantity", "The quantity %s is no whole number.", quoted(s))
	}
	return Quantity{N: n, Relative: s[0] == '+' || s[0] == '-'}, nil
}

// Rules are the operator's choices that requests are checked against.
type Rules struct {
	Sizes       Sizes
	DefaultSize string
	DefaultPort int
	MaxQuantity int
}

// ValidType checks the name of a dyno type; field is what to call it in the error.
func ValidType(field, name string) error {
	switch {
	case name == "":
		return Invalidf(field, "The dyno type's name is missing.")
	case !typePattern.MatchString(name):
		return Invalidf(field, "The dyno type %s may only have the letters a to z and digits.", quoted(name))
	case len(name) > MaxTypeName:
		return Invalidf(field, "A dyno type's name must not be longer than %d characters.", MaxTypeName)
	case name == RunType:
		return Invalidf(field, "The dyno type run is kept for one-off dynos.")
	}
	return nil
}

// NewType makes a dyno type of a request to create one. A null is as if absent.
func (r Rules) NewType(spec TypeSpec) (DynoType, error) {
	if err := ValidType("type", spec.Type); err != nil {
		return DynoType{}, err
	}
	t := DynoType{Type: spec.Type, Quantity: 1, Size: r.DefaultSize}
	if spec.Type == Web {
		t.Port = r.DefaultPort
	}
	if spec.OneOff.HasValue() {
		t.OneOff = spec.OneOff.Value
	}
	if spec.Schedule.HasValue() {
		t.Schedule = &spec.Schedule.Value
	}
	if spec.Quantity.HasValue() && spec.Quantity.Value.Relative {
		return DynoType{}, Invalidf("quantity", "A new dyno type needs a quantity from 0 to %d, not a difference.", r.MaxQuantity)
	}
	spec = spec.withoutNulls()
	t, err := r.change(t, spec)
	if err != nil {
		return DynoType{}, err
	}
	return t, r.checkKind(t)
}

// Change applies a request to a dyno type. Only what was sent changes.
func (r Rules) Change(t DynoType, spec TypeSpec) (DynoType, error) {
	if spec.Schedule.Set && (t.Schedule != nil) != spec.Schedule.HasValue() {
		return DynoType{}, Invalidf("schedule", "A schedule cannot be given to or taken from an existing dyno type: delete %s and create it anew.", t.Type)
	}
	if spec.Schedule.HasValue() {
		t.Schedule = &spec.Schedule.Value
	}
	if spec.OneOff.HasValue() && spec.OneOff.Value != t.OneOff {
		return DynoType{}, Invalidf("oneoff", "An existing dyno type cannot be made or unmade a one-off: delete %s and create it anew.", t.Type)
	}
	if spec.Size.Set && spec.Size.Null {
		return DynoType{}, Invalidf("size", "The size must be one of %s.", strings.Join(r.Sizes.Names(), ", "))
	}
	if spec.Quantity.Set && spec.Quantity.Null {
		return DynoType{}, Invalidf("quantity", "The quantity must be from 0 to %d.", r.MaxQuantity)
	}
	t, err := r.change(t, spec)
	if err != nil {
		return DynoType{}, err
	}
	return t, r.checkKind(t)
}

// change applies the fields that creating and changing have in common.
func (r Rules) change(t DynoType, spec TypeSpec) (DynoType, error) {
	var err error
	if spec.Quantity.HasValue() {
		if t.Quantity, err = r.quantity(t.Quantity, spec.Quantity.Value); err != nil {
			return t, err
		}
	}
	if spec.Size.HasValue() {
		if _, ok := r.Sizes.Find(spec.Size.Value); !ok {
			return t, Invalidf("size", "The size %s is not known; the sizes are %s.", quoted(spec.Size.Value), strings.Join(r.Sizes.Names(), ", "))
		}
		t.Size = spec.Size.Value
	}
	if t, err = changePort(t, spec); err != nil {
		return t, err
	}
	if t, err = changeHealthcheck(t, spec); err != nil {
		return t, err
	}
	if t.Command, err = changeCommand(t.Command, spec); err != nil {
		return t, err
	}
	if spec.Options.Set {
		t.Options, err = validOptions(spec.Options)
	}
	return t, err
}

func (r Rules) quantity(now int, q Quantity) (int, error) {
	n := q.N
	if q.Relative {
		n += now
	}
	if n < 0 || n > r.MaxQuantity {
		return 0, Invalidf("quantity", "The quantity must be from 0 to %d, not %d.", r.MaxQuantity, n)
	}
	return n, nil
}

func changePort(t DynoType, spec TypeSpec) (DynoType, error) {
	if !spec.Port.HasValue() {
		return t, nil
	}
	if t.Type != Web {
		return t, Invalidf("port", "Only the type web has a port; %s cannot have one.", t.Type)
	}
	if spec.Port.Value < MinPort || spec.Port.Value > MaxPort {
		return t, Invalidf("port", "The port must be from %d to %d, not %d.", MinPort, MaxPort, spec.Port.Value)
	}
	t.Port = spec.Port.Value
	return t, nil
}

func changeHealthcheck(t DynoType, spec TypeSpec) (DynoType, error) {
	if t.Type != Web {
		if spec.Healthcheck.HasValue() {
			return t, Invalidf("healthcheck", "Only the type web has a health check; %s cannot have one.", t.Type)
		}
		if spec.RemoveHealthcheck {
			return t, Invalidf("removeHealthcheck", "Only the type web has a health check; %s has none to remove.", t.Type)
		}
		return t, nil
	}
	if spec.RemoveHealthcheck || (spec.Healthcheck.Set && spec.Healthcheck.Null) {
		t.Healthcheck = nil
	}
	if spec.Healthcheck.HasValue() {
		if err := validHealthcheck(spec.Healthcheck.Value); err != nil {
			return t, err
		}
		t.Healthcheck = &spec.Healthcheck.Value
	}
	return t, nil
}

func changeCommand(now *string, spec TypeSpec) (*string, error) {
	if spec.RemoveCommand || (spec.Command.Set && spec.Command.Null) {
		now = nil
	}
	if !spec.Command.HasValue() {
		return now, nil
	}
	words, err := SplitCommand("command", spec.Command.Value)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	return &spec.Command.Value, nil
}

// MaxHealthcheck is the longest health check path, in bytes.
const MaxHealthcheck = 1024

// validHealthcheck checks the path of an HTTP check. Nomad expands "${" in check paths, so that is refused.
func validHealthcheck(path string) error {
	switch {
	case !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		return Invalidf("healthcheck", "The health check must be a relative URL that starts with one slash, like /health.")
	case strings.Contains(path, "${") || strings.Contains(path, "%{"):
		return Invalidf("healthcheck", "The health check must not contain ${ or %%{.")
	case strings.Contains(path, "#"):
		return Invalidf("healthcheck", "The health check must not have a fragment (#).")
	case len(path) > MaxHealthcheck:
		return Invalidf("healthcheck", "The health check must not be longer than %d bytes.", MaxHealthcheck)
	}
	return validURLPath("healthcheck", path)
}

func validOptions(o Optional[Options]) (*Options, error) {
	if o.Null {
		return nil, nil //nolint:nilnil // no options is a fine answer
	}
	for name, value := range o.Value.Env {
		if err := validVar("options", name, value); err != nil {
			return nil, err
		}
	}
	if o.Value.Image != "" {
		if _, err := ParseImage("options", o.Value.Image); err != nil {
			return nil, err
		}
	}
	if len(o.Value.Env) == 0 && o.Value.Image == "" {
		return nil, nil //nolint:nilnil // empty options are none
	}
	return &o.Value, nil
}

// checkKind checks what concerns several fields at once.
func (r Rules) checkKind(t DynoType) error {
	if t.OneOff && t.Type == Web {
		return Invalidf("oneoff", "The type web cannot be a one-off.")
	}
	if t.Schedule == nil {
		return nil
	}
	switch {
	case t.OneOff:
		return Invalidf("oneoff", "A type is run by request (oneoff) or by a schedule, not both.")
	case t.Type == Web:
		return Invalidf("schedule", "The type web cannot have a schedule.")
	}
	return validSchedule(*t.Schedule)
}

// withoutNulls makes every null an absent field, as creating wants it.
func (s TypeSpec) withoutNulls() TypeSpec {
	drop := func(set *bool, null bool) { *set = *set && !null }
	drop(&s.Quantity.Set, s.Quantity.Null)
	drop(&s.Size.Set, s.Size.Null)
	drop(&s.Port.Set, s.Port.Null)
	drop(&s.Command.Set, s.Command.Null)
	drop(&s.Healthcheck.Set, s.Healthcheck.Null)
	drop(&s.Options.Set, s.Options.Null)
	return s
}

// quoted shows what a client sent, cut to a length fit for a message.
func quoted(s string) string {
	return fmt.Sprintf("%q", clip(s))
}
