package dynomad

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// ParseSchedule reads a five-field cron expression, which is in UTC.
func ParseSchedule(expr string) (cron.Schedule, error) {
	if strings.HasPrefix(expr, "@") || strings.Contains(expr, "TZ=") {
		return nil, Invalidf("schedule", "The schedule must have the five fields of cron, in UTC: minute, hour, day of month, month, day of week.")
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	s, err := parser.Parse(expr)
	if err != nil {
		return nil, Invalidf("schedule", "The schedule %s is not five fields of cron: %s.", quoted(expr), err)
	}
	return s, nil
}

func validSchedule(expr string) error {
	s, err := ParseSchedule(expr)
	if err != nil {
		return err
	}
	// The library looks five years ahead; from a fixed time, so that the same text always gets the same answer.
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Invalidf("schedule", "The schedule %s never comes due.", quoted(expr))
	}
	return nil
}
