package dynomad_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

func asError(t *testing.T, err error) *dynomad.Error {
	t.Helper()
	var e *dynomad.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a *dynomad.Error", err, err)
	}
	return e
}

func rules() dynomad.Rules {
	return dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
}

func n(i int) dynomad.Optional[dynomad.Quantity] { return dynomad.Some(dynomad.Quantity{N: i}) }

func rel(i int) dynomad.Optional[dynomad.Quantity] {
	return dynomad.Some(dynomad.Quantity{N: i, Relative: true})
}

func TestNewType(t *testing.T) {
	t.Parallel()
	command := "npm start"
	tests := map[string]struct {
		spec dynomad.TypeSpec
		want dynomad.DynoType
	}{
		"web by default":    {dynomad.TypeSpec{Type: "web"}, dynomad.DynoType{Type: "web", Quantity: 1, Size: "gp2", Port: 9000}},
		"worker by default": {dynomad.TypeSpec{Type: "worker"}, dynomad.DynoType{Type: "worker", Quantity: 1, Size: "gp2"}},
		"nulls are absent": {
			dynomad.TypeSpec{
				Type: "web", Quantity: dynomad.Null[dynomad.Quantity](), Size: dynomad.Null[string](), Port: dynomad.Null[int](),
				Command: dynomad.Null[string](), Healthcheck: dynomad.Null[string](), OneOff: dynomad.Null[bool](),
				Schedule: dynomad.Null[string](), Options: dynomad.Null[dynomad.Options](),
			},
			dynomad.DynoType{Type: "web", Quantity: 1, Size: "gp2", Port: 9000},
		},
		"all given": {
			dynomad.TypeSpec{Type: "web", Quantity: n(0), Size: dynomad.Some("gp1"), Port: dynomad.Some(1024), Command: dynomad.Some(command)},
			dynomad.DynoType{Type: "web", Size: "gp1", Port: 1024, Command: &command},
		},
		"blank command is none": {dynomad.TypeSpec{Type: "w", Command: dynomad.Some("  ")}, dynomad.DynoType{Type: "w", Quantity: 1, Size: "gp2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := rules().NewType(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("NewType (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewType_refused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		spec  dynomad.TypeSpec
		field string
	}{
		{dynomad.TypeSpec{}, "type"},
		{dynomad.TypeSpec{Type: "Web!"}, "type"},
		{dynomad.TypeSpec{Type: "WEB"}, "type"},
		{dynomad.TypeSpec{Type: "run"}, "type"},
		{dynomad.TypeSpec{Type: strings.Repeat("a", 33)}, "type"},
		{dynomad.TypeSpec{Type: "web", Quantity: n(-1)}, "quantity"},
		{dynomad.TypeSpec{Type: "web", Quantity: n(21)}, "quantity"},
		{dynomad.TypeSpec{Type: "web", Quantity: rel(1)}, "quantity"},
		{dynomad.TypeSpec{Type: "web", Size: dynomad.Some("huge")}, "size"},
		{dynomad.TypeSpec{Type: "web", Port: dynomad.Some(80)}, "port"},
		{dynomad.TypeSpec{Type: "web", Port: dynomad.Some(65536)}, "port"},
		{dynomad.TypeSpec{Type: "worker", Port: dynomad.Some(9000)}, "port"},
		{dynomad.TypeSpec{Type: "worker", Healthcheck: dynomad.Some("/")}, "healthcheck"},
		{dynomad.TypeSpec{Type: "web", Healthcheck: dynomad.Some("health")}, "healthcheck"},
		{dynomad.TypeSpec{Type: "web", Healthcheck: dynomad.Some("//evil/x")}, "healthcheck"},
		{dynomad.TypeSpec{Type: "web", Healthcheck: dynomad.Some("/${node.unique.id}")}, "healthcheck"},
		{dynomad.TypeSpec{Type: "web", Healthcheck: dynomad.Some("/a b")}, "healthcheck"},
		{dynomad.TypeSpec{Type: "web", Healthcheck: dynomad.Some("/%zz")}, "healthcheck"},
		{dynomad.TypeSpec{Type: "web", OneOff: dynomad.Some(true)}, "oneoff"},
		{dynomad.TypeSpec{Type: "web", Schedule: dynomad.Some("* * * * *")}, "schedule"},
		{dynomad.TypeSpec{Type: "cron", Schedule: dynomad.Some("* * * *")}, "schedule"},
		{dynomad.TypeSpec{Type: "cron", Schedule: dynomad.Some("@hourly")}, "schedule"},
		{dynomad.TypeSpec{Type: "cron", Schedule: dynomad.Some("TZ=UTC * * * * *")}, "schedule"},
		{dynomad.TypeSpec{Type: "cron", Schedule: dynomad.Some("0 0 30 2 *")}, "schedule"},
		{dynomad.TypeSpec{Type: "cron", Schedule: dynomad.Some("0 0 * * *"), OneOff: dynomad.Some(true)}, "oneoff"},
		{dynomad.TypeSpec{Type: "w", Options: dynomad.Some(dynomad.Options{Env: map[string]string{"1A": "x"}})}, "options"},
		{dynomad.TypeSpec{Type: "w", Options: dynomad.Some(dynomad.Options{Image: "busybox"})}, "options"},
	}
	for _, tt := range tests {
		_, err := rules().NewType(tt.spec)
		if err == nil {
			t.Errorf("NewType(%+v) succeeded, want an error on %s", tt.spec, tt.field)
			continue
		}
		if e := asError(t, err); e.Kind != dynomad.Invalid || e.Field != tt.field {
			t.Errorf("NewType(%+v): got %s on %q (%s), want invalid on %q", tt.spec, e.Kind, e.Field, e.Message, tt.field)
		}
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	command, check, every := "npm start", "/health", "*/5 * * * *"
	web := dynomad.DynoType{Type: "web", Quantity: 2, Size: "gp2", Port: 9000, Command: &command, Healthcheck: &check}
	cron := dynomad.DynoType{Type: "cron", Quantity: 1, Size: "gp2", Schedule: &every}
	with := func(change func(*dynomad.DynoType)) dynomad.DynoType { c := web; change(&c); return c }
	tests := map[string]struct {
		from  dynomad.DynoType
		spec  dynomad.TypeSpec
		want  dynomad.DynoType
		field string // of the error, if one is wanted
	}{
		"nothing sent":            {from: web, want: web},
		"quantity":                {from: web, spec: dynomad.TypeSpec{Quantity: n(5)}, want: with(func(d *dynomad.DynoType) { d.Quantity = 5 })},
		"one more":                {from: web, spec: dynomad.TypeSpec{Quantity: rel(1)}, want: with(func(d *dynomad.DynoType) { d.Quantity = 3 })},
		"three fewer":             {from: web, spec: dynomad.TypeSpec{Quantity: rel(-3)}, field: "quantity"},
		"null quantity":           {from: web, spec: dynomad.TypeSpec{Quantity: dynomad.Null[dynomad.Quantity]()}, field: "quantity"},
		"null size":               {from: web, spec: dynomad.TypeSpec{Size: dynomad.Null[string]()}, field: "size"},
		"null command":            {from: web, spec: dynomad.TypeSpec{Command: dynomad.Null[string]()}, want: with(func(d *dynomad.DynoType) { d.Command = nil })},
		"remove command":          {from: web, spec: dynomad.TypeSpec{RemoveCommand: true}, want: with(func(d *dynomad.DynoType) { d.Command = nil })},
		"null check":              {from: web, spec: dynomad.TypeSpec{Healthcheck: dynomad.Null[string]()}, want: with(func(d *dynomad.DynoType) { d.Healthcheck = nil })},
		"remove check":            {from: web, spec: dynomad.TypeSpec{RemoveHealthcheck: true}, want: with(func(d *dynomad.DynoType) { d.Healthcheck = nil })},
		"remove check of worker":  {from: dynomad.DynoType{Type: "w"}, spec: dynomad.TypeSpec{RemoveHealthcheck: true}, field: "removeHealthcheck"},
		"null port keeps":         {from: web, spec: dynomad.TypeSpec{Port: dynomad.Null[int]()}, want: web},
		"schedule to none":        {from: cron, spec: dynomad.TypeSpec{Schedule: dynomad.Null[string]()}, field: "schedule"},
		"schedule to another":     {from: cron, spec: dynomad.TypeSpec{Schedule: dynomad.Some("0 0 * * *")}, want: func() dynomad.DynoType { c := cron; s := "0 0 * * *"; c.Schedule = &s; return c }()},
		"schedule on an old type": {from: web, spec: dynomad.TypeSpec{Schedule: dynomad.Some("0 0 * * *")}, field: "schedule"},
		"oneoff on an old type":   {from: web, spec: dynomad.TypeSpec{OneOff: dynomad.Some(true)}, field: "oneoff"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := rules().Change(tt.from, tt.spec)
			if tt.field != "" {
				if err == nil {
					t.Fatalf("got %+v, want an error on %s", got, tt.field)
				}
				if e := asError(t, err); e.Field != tt.field {
					t.Fatalf("got an error on %q (%s), want on %q", e.Field, e.Message, tt.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseQuantity(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]dynomad.Quantity{"0": {}, "7": {N: 7}, "+1": {N: 1, Relative: true}, "-2": {N: -2, Relative: true}, "007": {N: 7}} {
		if got, err := dynomad.ParseQuantity(in); err != nil || got != want {
			t.Errorf("ParseQuantity(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "abc", "1.5", "1e400", "+", "--1", " 1", "1 ", "0x1", "99999999999"} {
		if got, err := dynomad.ParseQuantity(in); err == nil {
			t.Errorf("ParseQuantity(%q) = %+v, want an error", in, got)
		}
	}
}

func TestParseImage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nginx:1.27":                            "nginx:1.27",
		"docker://nginx:1.27":                   "nginx:1.27",
		"docker://docker.io/library/nginx:1":    "nginx:1",
		"DOCKER://registry.example:5000/a/b:t":  "registry.example:5000/a/b:t",
		"a/b@sha256:" + strings.Repeat("0", 64): "a/b@sha256:" + strings.Repeat("0", 64),
		"b@sha256:" + strings.Repeat("0", 64):   "b@sha256:" + strings.Repeat("0", 64),
	} {
		if got, err := dynomad.ParseImage("url", in); err != nil || got != want {
			t.Errorf("ParseImage(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	const secret = "hunter2"
	for _, in := range []string{
		"", "docker://", "nginx", "docker://host/repo", "https://example.com/x.tgz", "http://x:1", "data:text/plain,x", "UPPER:1", "a b:1",
		"docker://user:" + secret + "@host/repo:1", "user:" + secret + "@host/repo:1", "nginx:1.27${x}", "docker://a:1\n", "ftp://a:1",
		"docker://" + secret + "@host/repo@sha256:" + strings.Repeat("0", 64),
	} {
		got, err := dynomad.ParseImage("url", in)
		if err == nil {
			t.Errorf("ParseImage(%q) = %q, want an error", in, got)
			continue
		}
		if e := asError(t, err); e.Field != "url" || strings.Contains(e.Error(), secret) {
			t.Errorf("ParseImage(%q): got %q on %q; want an error on url without the password", in, e.Error(), e.Field)
		}
	}
}

func TestConfigVars_Apply(t *testing.T) {
	t.Parallel()
	one, other := "1", "line\nbreak ${X} {{ y }}"
	before := dynomad.ConfigVars{"A": "1", "B": "2", "C": "3"}
	after, description, err := before.Apply(dynomad.ConfigChange{"A": &one, "B": nil, "Z": &other, "Y": &one, "GONE": nil})
	if err != nil {
		t.Fatal(err)
	}
	if want := (dynomad.ConfigVars{"A": "1", "C": "3", "Y": "1", "Z": other}); !cmp.Equal(want, after) {
		t.Errorf("Apply (-want +got):\n%s", cmp.Diff(want, after))
	}
	if want := "Set Y, Z config vars, Remove B config vars"; description != want {
		t.Errorf("got description %q, want %q", description, want)
	}
	if len(before) != 3 {
		t.Errorf("Apply changed its receiver: %v", before)
	}
	if _, description, _ := before.Apply(dynomad.ConfigChange{"A": &one, "GONE": nil}); description != "" {
		t.Errorf("a change of nothing is described: %q", description)
	}
}

func TestConfigVars_Apply_refused(t *testing.T) {
	t.Parallel()
	value := func(s string) *string { return &s }
	big := strings.Repeat("x", dynomad.MaxConfigBytes)
	tests := []struct {
		change dynomad.ConfigChange
		kind   dynomad.Kind
	}{
		{dynomad.ConfigChange{"PORT": value("1")}, dynomad.Conflict},
		{dynomad.ConfigChange{"DYNO": value("1")}, dynomad.Conflict},
		{dynomad.ConfigChange{"DYNOMAD_X": nil}, dynomad.Conflict},
		{dynomad.ConfigChange{"1A": value("1")}, dynomad.Invalid},
		{dynomad.ConfigChange{"": value("1")}, dynomad.Invalid},
		{dynomad.ConfigChange{"A-B": nil}, dynomad.Invalid},
		{dynomad.ConfigChange{"A": value("a\x00b")}, dynomad.Invalid},
		{dynomad.ConfigChange{"A": value("\xff")}, dynomad.Invalid},
		{dynomad.ConfigChange{"A": value(big)}, dynomad.Invalid},
	}
	for _, tt := range tests {
		if _, _, err := (dynomad.ConfigVars{}).Apply(tt.change); dynomad.KindOf(err) != tt.kind {
			t.Errorf("Apply(%.40v): got %v, want %s", tt.change, err, tt.kind)
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	base := dynomad.Errorf(dynomad.NotFound, "Gone.")
	wrapped := fmt.Errorf("reading it: %w", base)
	if !errors.Is(wrapped, dynomad.NotFound) || errors.Is(wrapped, dynomad.Conflict) {
		t.Error("errors.Is does not see the kind through a wrap")
	}
	for want, err := range map[dynomad.Kind]error{
		"": nil, dynomad.NotFound: wrapped, dynomad.Internal: errors.New("x"), dynomad.Conflict: fmt.Errorf("x: %w", dynomad.Conflict),
	} {
		if got := dynomad.KindOf(err); got != want {
			t.Errorf("KindOf(%v) = %q, want %q", err, got, want)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	includes := map[dynomad.Scope][]dynomad.Scope{
		dynomad.ScopeGlobal:         dynomad.Scopes(),
		dynomad.ScopeRead:           {dynomad.ScopeRead},
		dynomad.ScopeWrite:          {dynomad.ScopeRead, dynomad.ScopeWrite},
		dynomad.ScopeReadProtected:  {dynomad.ScopeRead, dynomad.ScopeReadProtected},
		dynomad.ScopeWriteProtected: {dynomad.ScopeRead, dynomad.ScopeWrite, dynomad.ScopeReadProtected, dynomad.ScopeWriteProtected},
	}
	for held, want := range includes {
		var got []dynomad.Scope
		for _, s := range dynomad.Scopes() {
			if (dynomad.Principal{Scopes: []dynomad.Scope{held}}).Has(s) {
				got = append(got, s)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("scope %s includes (-want +got):\n%s", held, diff)
		}
	}
}
