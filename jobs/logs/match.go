package logs

import "github.com/dynomad/dynomad"

// fits reports whether a filter chooses the lines of an origin.
func fits(f dynomad.LogFilter, o *origin) bool {
	source := f.Source
	if source == "heroku" {
		source = string(dynomad.LogPlatform)
	}
	if source != "" && source != string(o.source) {
		return false
	}
	if f.Type != "" && f.Type != o.kind {
		return false
	}
	switch f.Dyno {
	case "":
		return true
	case o.proc, o.dynoID, o.name, o.kind + "." + o.name:
		return o.kind != ""
	}
	return f.Dyno == o.kind
}
