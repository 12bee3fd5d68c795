package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue gives a certificate of a serial number, and its key, as files have them.
func (a *authority) issue(t *testing.T, serial int64, ends time.Time) (cert, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "daemon"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, &own.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCertificates_reload changes the files in all ways: what is good is taken, what is not is refused, once, and the old one kept.
func TestCertificates_reload(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), t.TempDir()
	later := time.Now().Add(time.Hour)
	cert1, key1 := ca.issue(t, 11, later)
	cert2, key2 := ca.issue(t, 12, later)
	ended, endedKey := ca.issue(t, 13, time.Now().Add(-time.Minute))
	var log nomadtest.Output
	var outcomes []string
	c := &certificates{
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), now: time.Now,
		log: hclog.New(&hclog.LoggerOptions{Output: &log}), changed: func(outcome string, _ time.Time) { outcomes = append(outcomes, outcome) },
	}
	if err := c.load(); err == nil {
		t.Error("no files: loaded")
	}
	put(t, c.certFile, cert1)
	put(t, c.keyFile, key1)
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 { return c.current.Load().Leaf.SerialNumber.Int64() }
	steps := []struct {
		name      string
		cert, key []byte
		want      int64
		outcomes  string
	}{
		{"the same", cert1, key1, 11, ""},
		{"only half of the new pair", cert2, key1, 11, ",refused"},
		{"the other half", cert2, key2, 12, ",refused,taken"},
		{"no certificate", []byte("x"), key2, 12, ",refused,taken,refused"},
		{"what there was", cert2, key2, 12, ",refused,taken,refused"},
		{"one that has ended", ended, endedKey, 12, ",refused,taken,refused,refused"},
		{"back to the first", cert1, key1, 11, ",refused,taken,refused,refused,taken"},
	}
	for _, s := range steps {
		put(t, c.certFile, s.cert)
		put(t, c.keyFile, s.key)
		for range 3 {
			c.look()
		}
		if serial() != s.want || strings.Join(outcomes, ",") != s.outcomes {
			t.Errorf("%s: serial %d, outcomes %q; want %d, %q", s.name, serial(), strings.Join(outcomes, ","), s.want, s.outcomes)
		}
	}
	if err := os.Remove(c.keyFile); err != nil {
		t.Fatal(err)
	}
	c.look()
	c.look()
	if serial() != 11 || !strings.HasSuffix(strings.Join(outcomes, ","), "taken,refused") {
		t.Errorf("without a key: serial %d, outcomes %v", serial(), outcomes)
	}
	if n := strings.Count(log.String(), "refused a new certificate"); n != 4 {
		t.Errorf("%d lines about refused certificates, want 4:\n%s", n, log.String())
	}
	if strings.Contains(log.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

// TestCertificates_halfWritten wants nothing said of a pair of which one file comes a moment after the other.
func TestCertificates_halfWritten(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), t.TempDir()
	cert1, key1 := ca.issue(t, 11, time.Now().Add(time.Hour))
	cert2, key2 := ca.issue(t, 12, time.Now().Add(time.Hour))
	var outcomes []string
	c := &certificates{
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), now: time.Now, log: hclog.NewNullLogger(),
		changed: func(outcome string, _ time.Time) { outcomes = append(outcomes, outcome) },
	}
	put(t, c.certFile, cert1)
	put(t, c.keyFile, key1)
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	put(t, c.certFile, cert2)
	c.look()
	put(t, c.keyFile, key2)
	c.look()
	if got := strings.Join(outcomes, ","); got != ",taken" {
		t.Errorf("outcomes %q", got)
	}
}

// TestServe_TLS serves the API with TLS: its version, a new certificate without a restart, and the commands with DYNOMAD_CA_CERT.
func TestServe_TLS(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	certFile, keyFile, caFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	cert, key := ca.issue(t, 11, time.Now().Add(time.Hour))
	put(t, certFile, cert)
	put(t, keyFile, key)
	put(t, caFile, ca.pem)
	url, token, stop := lonelyWith(t, t.TempDir(), ca, func(c *Config) { c.TLSCert, c.TLSKey = certFile, keyFile })
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	address := strings.TrimPrefix(url, "https://")
	serial := func(config *tls.Config) (int64, error) {
		dialer := &tls.Dialer{Config: config}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return 0, err
		}
		defer conn.Close() //nolint:errcheck // it was looked at
		secure, ok := conn.(*tls.Conn)
		if !ok {
			t.Fatalf("%T", conn)
		}
		return secure.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if _, err := serial(&tls.Config{RootCAs: ca.pool(), MaxVersion: tls.VersionTLS11}); err == nil { //nolint:gosec // must be refused
		t.Error("TLS 1.1 was spoken")
	}
	if got, err := serial(&tls.Config{RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12}); err != nil || got != 11 { //nolint:gosec // 1.2 at most
		t.Errorf("TLS 1.2: serial %d, %v", got, err)
	}

	env := map[string]string{"DYNOMAD_URL": url, "DYNOMAD_TOKEN": token, "HOME": dir}
	getenv := func(name string) string { return env[name] }
	if err := run(t.Context(), []string{"whoami", "--json"}, getenv); err == nil || !strings.Contains(err.Error(), "DYNOMAD_CA_CERT") {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
	env["DYNOMAD_CA_CERT"] = caFile
	if err := run(t.Context(), []string{"whoami", "--json"}, getenv); err != nil {
		t.Errorf("with the authority's certificate: %v", err)
	}

	cert, key = ca.issue(t, 12, time.Now().Add(time.Hour))
	put(t, certFile, cert)
	put(t, keyFile, key)
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := serial(&tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS12})
		if err == nil && got == 12 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not served: %d, %v", got, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// client gives a client that trusts the authority; the usual one for nil.
func (a *authority) client() *http.Client {
	if a == nil {
		return http.DefaultClient
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS12}}}
}
