package jobs

import (
	"math"
	"time"
)

// Moment is the time that dynos are seen at. All that depends on the time asks it and has no other clock, so that it knows
// for how long what was answered stays true. It is for one goroutine.
type Moment struct {
	now   int64         // nanoseconds since 1970
	holds time.Duration // no answer that was given changes sooner
}

// At makes a Moment.
func At(now time.Time) *Moment { return &Moment{now: now.UnixNano(), holds: math.MaxInt64} }

// Until gives the first time at which something may be different because of the time alone; centuries ahead if nothing is.
func (m *Moment) Until() time.Time { return time.Unix(0, m.now).Add(m.holds) }

// passed reports whether so much time has passed since a time in nanoseconds.
func (m *Moment) passed(since int64, d time.Duration) bool {
	elapsed := time.Duration(m.now - since)
	if elapsed >= d {
		return true
	}
	m.holds = min(m.holds, d-max(elapsed, 0)) // since a time to come, as another machine's clock may tell: asked again sooner
	return false
}
