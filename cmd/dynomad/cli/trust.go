package cli

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"

	"github.com/dynomad/dynomad/client"
)

// trust has the daemon's certificate checked by those of the target's file too, if it names one.
func (t *target) trust() error {
	if t.CACert == "" {
		return nil
	}
	text, err := os.ReadFile(t.CACert)
	if err != nil {
		return usage("the certificates of DYNOMAD_CA_CERT cannot be read: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return usage("there is no certificate in %s (DYNOMAD_CA_CERT)", t.CACert).withHint("it has to be PEM: -----BEGIN CERTIFICATE-----")
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	t.http = &http.Client{Transport: transport}
	return nil
}

// connect makes the client for a target.
func (t *target) connect(version string) (*client.Client, error) {
	if err := t.trust(); err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{URL: t.URL, Token: t.Token, UserAgent: "dynomad/" + version, HTTP: t.http})
	if err != nil {
		return nil, usage("%w", err)
	}
	return c, nil
}

// caFile makes the path of a file of certificates absolute: it is kept for commands that run in other folders.
func caFile(path string) string {
	if full, err := filepath.Abs(path); err == nil && path != "" {
		return full
	}
	return path
}
