package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// certificateInterval is between looks at whether the files of the certificate have changed. They are read, not watched: what mounts secrets
// swaps links, which tells watchers of files nothing.
const certificateInterval = 2 * time.Second

// What becomes of changes of the certificate's files.
const (
	reloadTaken   = "taken"
	reloadRefused = "refused"
)

// certificates are the API's certificate and its key, as the files have them. A pair that is not good is refused, and the last good one kept.
type certificates struct {
	certFile, keyFile string
	now               func() time.Time
	log               hclog.Logger
	changed           func(outcome string, notAfter time.Time)

	current atomic.Pointer[tls.Certificate]
	taken   [sha256.Size]byte // of the files' content that current was made of
	last    [sha256.Size]byte // … and of what they had at the last look
	refused [sha256.Size]byte // … and of what was refused: that is said once
}

// load reads the pair for the first time; without a good one the daemon does not start.
func (c *certificates) load() error {
	cert, sum, err := c.read()
	if err != nil {
		return fmt.Errorf("the certificate of the API: %w", err)
	}
	c.take(cert, sum)
	return nil
}

// run looks again and again until ctx ends.
func (c *certificates) run(ctx context.Context) { every(ctx, certificateInterval, c.look) }

// look takes what the files have, if it is new and good. What is not good is refused only when it stays: the two files are not written at the
// same instant.
func (c *certificates) look() {
	cert, sum, err := c.read()
	stays := sum == c.last
	c.last = sum
	switch {
	case sum == c.taken:
		c.refused = [sha256.Size]byte{}
	case err == nil:
		c.take(cert, sum)
		c.log.Info("took a new certificate", "file", c.certFile, "not_after", cert.Leaf.NotAfter)
	case stays && sum != c.refused:
		c.refused = sum
		c.changed(reloadRefused, c.current.Load().Leaf.NotAfter)
		c.log.Error("refused a new certificate, the old one is kept", "file", c.certFile, "error", err)
	}
}

func (c *certificates) take(cert *tls.Certificate, sum [sha256.Size]byte) {
	first := c.current.Swap(cert) == nil
	c.taken, c.last = sum, sum
	outcome := reloadTaken
	if first {
		outcome = ""
	}
	c.changed(outcome, cert.Leaf.NotAfter)
}

// read gives the pair that the files have, and a sum of their content, which is of the error's text where they cannot be read.
func (c *certificates) read() (*tls.Certificate, [sha256.Size]byte, error) {
	cert, err := os.ReadFile(c.certFile)
	key, keyErr := os.ReadFile(c.keyFile)
	if err = errors.Join(err, keyErr); err != nil {
		return nil, sha256.Sum256([]byte(err.Error())), err
	}
	sum := sha256.Sum256(bytes.Join([][]byte{cert, key}, []byte{0}))
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, sum, fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
	}
	if ends := pair.Leaf.NotAfter; !c.now().Before(ends) {
		return nil, sum, fmt.Errorf("%s has ended, on %s", c.certFile, ends.UTC().Format(time.RFC3339))
	}
	return &pair, sum, nil
}

// config is what a listener needs. The certificate is asked for at each handshake; connections that there are keep theirs.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// openCertificates reads the certificate of the API and follows its files; nil if the API is served without TLS.
func (a *app) openCertificates(ctx context.Context) (*tls.Config, error) {
	if a.config.TLSCert == "" {
		return nil, nil //nolint:nilnil // no TLS
	}
	c := &certificates{
		certFile: a.config.TLSCert, keyFile: a.config.TLSKey, now: time.Now, log: a.log.Named("tls"), changed: a.metrics.certified,
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group := newGroup()
	group.start(func() { c.run(ctx) })
	a.onClose("certificates", func(closing context.Context) error {
		cancel()
		return group.wait(closing)
	})
	return c.config(), nil
}
