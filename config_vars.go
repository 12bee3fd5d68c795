package dynomad

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// MaxConfigBytes bounds the names and values of an app's config vars together: Nomad keeps a variable's items within
// 64 KiB (nomad/structs/variables.go), of which a little is ours.
const MaxConfigBytes = 64<<10 - 256

// ConfigVars are an app's environment: names matching ^[A-Za-z_][A-Za-z0-9_]*$, values any UTF-8 without NUL.
type ConfigVars map[string]string

// ConfigChange sets the names that have a value and removes those that are nil.
type ConfigChange map[string]*string

var varPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReservedVar reports whether a name is set by the platform itself and cannot be a config var.
func ReservedVar(name string) bool {
	return name == "PORT" || name == "DYNO" || strings.HasPrefix(name, "DYNOMAD_")
}

// validVar checks one variable; field is what to call it in the error.
func validVar(field, name, value string) error {
	if !varPattern.MatchString(name) {
		return Invalidf(field, "The config var %s is invalid: names have letters, digits and underscores and do not start with a digit.", quoted(name))
	}
	if ReservedVar(name) {
		return Errorf(Conflict, "The config var %s is reserved and cannot be changed.", name)
	}
	if strings.ContainsRune(value, 0) || !validUTF8(value) {
		return Invalidf(field, "The value of %s must be UTF-8 text without NUL.", name)
	}
	return nil
}

// Apply gives the config vars after a change, and the change's description for the release; the description is "" if
// nothing differs. The receiver stays as it is.
func (c ConfigVars) Apply(change ConfigChange) (ConfigVars, string, error) {
	after := maps.Clone(c)
	if after == nil {
		after = ConfigVars{}
	}
	var set, removed []string
	for _, name := range slices.Sorted(maps.Keys(change)) {
		value := change[name]
		if value == nil {
			if !varPattern.MatchString(name) {
				return nil, "", validVar(name, name, "")
			}
			if ReservedVar(name) {
				return nil, "", validVar(name, name, "")
			}
			if _, ok := after[name]; ok {
				removed = append(removed, name)
				delete(after, name)
			}
			continue
		}
		if err := validVar(name, name, *value); err != nil {
			return nil, "", err
		}
		if old, ok := after[name]; !ok || old != *value {
			set = append(set, name)
			after[name] = *value
		}
	}
	if after.bytes() > MaxConfigBytes {
		return nil, "", Invalidf(firstOf(set), "The config vars' names and values must not be longer than %d bytes together; this makes them %d.", MaxConfigBytes, after.bytes())
	}
	return after, describeConfig(set, removed), nil
}

func (c ConfigVars) bytes() int {
	n := 0
	for name, value := range c {
		n += len(name) + len(value)
	}
	return n
}

// describeConfig words a change as Heroku does: "Set A, B config vars", "Remove A config vars".
func describeConfig(set, removed []string) string {
	var parts []string
	if len(set) > 0 {
		parts = append(parts, "Set "+strings.Join(set, ", ")+" config vars")
	}
	if len(removed) > 0 {
		parts = append(parts, "Remove "+strings.Join(removed, ", ")+" config vars")
	}
	return strings.Join(parts, ", ")
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return "config_vars"
	}
	return names[0]
}
