package logs

import (
	"context"
	"fmt"
	"strings"

	"github.com/dynomad/dynomad"
)

// pastAudits is how many of the audits that were there before are looked at.
const pastAudits = 200

// events is what a feed knows of what the platform does with its app.
type events struct {
	seq   int64 // of the last audit seen
	known bool  // states has what was there before
	dynos map[string]dynomad.Dyno
}

// past gives what the platform did before anybody read.
func (f *feed) past(ctx context.Context) []entry {
	return f.audits(ctx, pastAudits, true)
}

// news gives what the platform did since the last look.
func (f *feed) news(ctx context.Context, dynos []dynomad.Dyno) []entry {
	most := 0
	if f.events.seq == 0 { // the past could not be read
		most = pastAudits
	}
	return append(f.audits(ctx, most, false), f.states(dynos)...)
}

// audits gives the lines of audits not seen yet. An audit that is there has all audits before it there, so none is missed.
func (f *feed) audits(ctx context.Context, most int, old bool) []entry {
	all, err := f.hub.Apps.Audits(ctx, f.appID, f.events.seq, most)
	if err != nil {
		f.hub.Log.Warn("cannot read the audits of an app whose logs are read", "app_id", f.appID, "error", err)
	}
	var entries []entry
	for _, a := range all {
		f.events.seq = a.Seq
		proc, _, _ := strings.Cut(a.Action, ".")
		text := strings.TrimSuffix(a.Details, ".")
		if a.UserEmail != "" {
			text += " by " + a.UserEmail
		}
		from := f.origin(dynomad.LogPlatform, "", "", proc, "")
		entries = append(entries, entry{from: from, at: a.CreatedAt, text: oneLine(text), old: old})
	}
	return entries
}

// states gives a line for each dyno that is new, has another state or was started again.
func (f *feed) states(dynos []dynomad.Dyno) []entry {
	before := f.events.dynos
	f.events.dynos = make(map[string]dynomad.Dyno, len(dynos))
	var entries []entry
	for _, d := range dynos {
		f.events.dynos[d.ID] = d
		last, seen := before[d.ID]
		text := stateText(last, d, seen)
		if !f.events.known || text == "" {
			continue
		}
		from := f.origin(dynomad.LogPlatform, d.ID, d.Name, d.TypeN, d.Type)
		entries = append(entries, entry{from: from, at: f.hub.Now(), text: oneLine(text)})
	}
	f.events.known = true
	return entries
}

// stateText words how a dyno has changed; "" if there is nothing to say.
func stateText(before, now dynomad.Dyno, seen bool) string {
	var text string
	switch {
	case !seen:
		text = fmt.Sprintf("state is %s", now.State)
	case before.State != now.State:
		text = fmt.Sprintf("state changed from %s to %s", before.State, now.State)
	case before.Restarts < now.Restarts:
		text = fmt.Sprintf("started again (%d), state is %s", now.Restarts, now.State)
	default:
		return ""
	}
	if now.AdditionalInfo != "" {
		text += ": " + now.AdditionalInfo
	}
	return text
}
