package server

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestAddressOf(t *testing.T) {
	t.Parallel()
	s := &Server{cfg: Config{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:9::/48")}}}
	tests := []struct {
		sender    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:1234", nil, "192.0.2.1"},
		{"192.0.2.1:1234", []string{"192.0.2.9"}, "192.0.2.1"}, // who is no proxy says nothing
		{"[::ffff:192.0.2.1]:1234", nil, "192.0.2.1"},
		{"[2001:db8::1:2]:1234", nil, "2001:db8::/64"},
		{"[2001:db8::ffff]:1234", nil, "2001:db8::/64"},
		{"[fe80::1%eth0]:1234", nil, "fe80::/64"},
		{"10.0.0.1:1234", nil, "10.0.0.1"},
		{"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"192.0.2.9"}, "192.0.2.9"},
		{"10.0.0.1:1234", []string{"192.0.2.9, 10.0.0.2"}, "192.0.2.9"},
		{"10.0.0.1:1234", []string{"192.0.2.9", "10.0.0.2"}, "192.0.2.9"},
		{"10.0.0.1:1234", []string{"192.0.2.8, 192.0.2.9"}, "192.0.2.9"}, // the first is what the client says itself
		{"10.0.0.1:1234", []string{"192.0.2.8, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1234", []string{"2001:db8:9::1, 2001:db8:9::2"}, "2001:db8:9::/64"},
		{"[2001:db8:9::1]:1", []string{"::ffff:192.0.2.9"}, "192.0.2.9"},
		{"pipe", []string{"192.0.2.9"}, "pipe"},
	}
	for _, tt := range tests {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = tt.sender
		r.Header["X-Forwarded-For"] = tt.forwarded
		if got := s.addressOf(r); got != tt.want {
			t.Errorf("%s for %q: %q, want %q", tt.sender, tt.forwarded, got, tt.want)
		}
	}
}

// TestLimiter_memory floods a limiter with more names than it remembers. One that is used all the while is not forgotten.
func TestLimiter_memory(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := newLimiter(2, func() time.Time { return now })
	for i := range 3 * maxAccounts {
		l.take(fmt.Sprint(i), 1)
		if i%100 == 0 {
			l.take("busy", 0)
		}
		if len(l.accounts) > maxAccounts {
			t.Fatalf("%d accounts are remembered", len(l.accounts))
		}
		now = now.Add(time.Microsecond)
	}
	if _, ok := l.accounts["busy"]; !ok || len(l.accounts) < maxAccounts {
		t.Errorf("busy is remembered: %t, of %d", ok, len(l.accounts))
	}
}

// TestLimiter_spent looks at accounts without using them.
func TestLimiter_spent(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := newLimiter(2, func() time.Time { return now })
	if wait := l.spent("a"); wait != 0 || len(l.accounts) != 0 {
		t.Errorf("an unknown one waits %s, and %d are remembered", wait, len(l.accounts))
	}
	l.take("a", 1)
	if wait := l.spent("a"); wait != 0 {
		t.Errorf("one of two used: wait %s", wait)
	}
	l.take("a", 1)
	now = now.Add(10 * time.Second)
	if wait := l.spent("a"); wait != 20*time.Second {
		t.Errorf("both used, 10 s ago: wait %s", wait)
	}
	if wait := (*limiter)(nil).spent("a"); wait != 0 {
		t.Errorf("without a limit: wait %s", wait)
	}
}

// TestTokenStreams_forgets checks that what has ended leaves nothing behind.
func TestTokenStreams_forgets(t *testing.T) {
	t.Parallel()
	for _, most := range []int{0, 2} {
		s := newTokenStreams(most)
		var leaves []func()
		for range 2 {
			leave, err := s.enter("a")
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		if _, err := s.enter("a"); (err == nil) != (most == 0) {
			t.Errorf("a third of at most %d: %v", most, err)
		} else if err == nil {
			s.leave("a")
		}
		for _, leave := range leaves {
			leave()
		}
		if len(s.open) != 0 {
			t.Errorf("left behind: %v", s.open)
		}
	}
}
