package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/dynomad/dynomad"
)

// refusedTooOften refuses a request from an address whose tokens or secrets were wrong too often, before they are looked up: nobody tries
// more of them than the limit allows.
func (s *Server) refusedTooOften(r *http.Request) error {
	if s.refused == nil {
		return nil
	}
	if wait := s.refused.spent(s.addressOf(r)); wait > 0 {
		return &dynomad.Error{
			Kind: dynomad.RateLimited, RetryAfter: wait,
			Message: "This address has sent too many requests without a valid token.",
		}
	}
	return nil
}

// countRefused counts a request whose token or secret was missing or wrong. A secret's route says of one that there is nothing.
func (s *Server) countRefused(r *http.Request, err error) {
	if kind := dynomad.KindOf(err); s.refused != nil && (kind == dynomad.Unauthenticated || kind == dynomad.NotFound) {
		s.refused.take(s.addressOf(r), 1)
	}
}

// addressOf gives who sends a request, as limits count: an IPv4 address, or the network that one subscriber of IPv6 has.
func (s *Server) addressOf(r *http.Request) string {
	sender, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr // of no network: a test's
	}
	addr := s.askedFor(sender.Addr().Unmap().WithZone(""), r.Header)
	const subscriber = 64
	if addr.Is6() {
		return netip.PrefixFrom(addr, subscriber).Masked().String()
	}
	return addr.String()
}

// askedFor gives whom a sender asks for: itself, unless it is a proxy that names somebody, who may be a proxy again.
func (s *Server) askedFor(sender netip.Addr, header http.Header) netip.Addr {
	if !s.isProxy(sender) {
		return sender
	}
	for _, hop := range slices.Backward(strings.Split(strings.Join(header.Values("X-Forwarded-For"), ","), ",")) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil || !s.isProxy(sender) {
			break
		}
		sender = next.Unmap().WithZone("")
	}
	return sender
}

func (s *Server) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}
