package server

import (
	"fmt"
	"testing"
	"time"
)

func TestTokenOf(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                         "",
		"  ":                       "",
		"secret":                   "secret",
		" secret ":                 "secret",
		"Bearer secret":            "secret",
		"bearer  secret":           "secret",
		"BEARER secret":            "secret",
		"Bearer":                   "",
		"Bearer ":                  "",
		"Basic OnNlY3JldA==":       "secret", // :secret
		"basic dXNlcjpzZWNyZXQ=":   "secret", // user:secret
		"Basic dXNlcjpzZTpjcmV0":   "se:cret",
		"Basic dXNlcg==":           "",
		"Basic !!!":                "",
		"Basic":                    "",
		"Digest username=\"root\"": "Digest username=\"root\"",
	}
	for header, want := range tests {
		if got := tokenOf(header); got != want {
			t.Errorf("tokenOf(%q) = %q, want %q", header, got, want)
		}
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newLimiter(3, func() time.Time { return now })
	for i, want := range []int{2, 1, 0} {
		if left, wait := l.take("a", 1); left != want || wait != 0 {
			t.Errorf("request %d: %d left, wait %s", i, left, wait)
		}
	}
	if left, wait := l.take("a", 1); left != 0 || wait != 20*time.Second {
		t.Errorf("one too many: %d left, wait %s", left, wait)
	}
	if _, wait := l.take("a", 0); wait != 0 {
		t.Errorf("what is not counted waits %s", wait)
	}
	if left, wait := l.take("b", 1); left != 2 || wait != 0 {
		t.Errorf("another token: %d left, wait %s", left, wait)
	}
	now = now.Add(20 * time.Second)
	if left, wait := l.take("a", 1); left != 0 || wait != 0 {
		t.Errorf("20 s later: %d left, wait %s", left, wait)
	}
	now = now.Add(time.Hour)
	if left, _ := l.take("a", 1); left != 2 {
		t.Errorf("an hour later: %d left", left)
	}
	now = now.Add(-3 * time.Hour) // the clock is set back
	if left, wait := l.take("a", 1); left != 1 || wait != 0 {
		t.Errorf("three hours before: %d left, wait %s", left, wait)
	}
	for i := range maxAccounts + 10 {
		l.take(fmt.Sprint(i), 1)
		if i == maxAccounts/2 {
			now = now.Add(2 * time.Minute)
		}
	}
	if len(l.accounts) > maxAccounts {
		t.Errorf("%d accounts are remembered", len(l.accounts))
	}
	if newLimiter(0, nil) != nil {
		t.Error("no limit needs no limiter")
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	tests := map[time.Duration]string{0: "5", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2"}
	for d, want := range tests {
		if got := seconds(d, 5*time.Second); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
