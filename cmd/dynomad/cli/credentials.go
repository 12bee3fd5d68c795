package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// defaultURL is where a daemon listens that was told nothing else.
const defaultURL = "http://127.0.0.1:5000"

// target is which daemon is meant, and as whom.
type target struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	// CACert is a file of certificates, in PEM, that may have signed the daemon's; "" are the system's alone.
	CACert string `json:"ca_cert,omitempty"`

	from string       // where the token was found
	http *http.Client // that trusts CACert; nil is the usual one
}

// findTarget finds the daemon and the token: in the environment, else in the file of dynomad login. The file's token is for the
// file's daemon only: another one must not see it.
func findTarget(getenv func(string) string) (target, error) {
	t := target{URL: strings.TrimSuffix(getenv("DYNOMAD_URL"), "/"), Token: getenv("DYNOMAD_TOKEN"), from: "DYNOMAD_TOKEN"}
	t.CACert = caFile(getenv("DYNOMAD_CA_CERT"))
	if t.URL != "" && t.Token != "" {
		return t, nil
	}
	saved, path, err := loadCredentials(getenv)
	if err != nil {
		return t, err
	}
	if t.URL == "" {
		if t.URL = saved.URL; t.URL == "" {
			t.URL = defaultURL
		}
	}
	if t.URL == saved.URL {
		t.CACert = cmp.Or(t.CACert, saved.CACert)
		if t.Token == "" {
			t.Token, t.from = saved.Token, path
		}
	}
	return t, nil
}

// credentialsPath is where dynomad login keeps the token: in the user's config folder.
func credentialsPath(getenv func(string) string) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := getenv("HOME")
		if home == "" {
			return "", errors.New("there is no config folder: neither XDG_CONFIG_HOME nor HOME is set")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "dynomad", "credentials.json"), nil
}

// loadCredentials reads the file; one that is not there is empty.
func loadCredentials(getenv func(string) string) (saved target, path string, err error) {
	path, err = credentialsPath(getenv)
	if err != nil {
		return saved, "", nil //nolint:nilerr // no folder, no file
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user's own file of credentials
	if errors.Is(err, os.ErrNotExist) {
		return saved, path, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err != nil {
		return target{}, path, fmt.Errorf("read the credentials in %s: %w", path, err)
	}
	return saved, path, nil
}

// saveCredentials writes the file, for its owner only, whole or not at all.
func saveCredentials(getenv func(string) string, t target) (path string, err error) {
	if path, err = credentialsPath(getenv); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it was moved, or is of no use
	_, err = temp.Write(append(text, '\n'))
	if err = errors.Join(err, temp.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(temp.Name(), path)
}

// dropCredentials removes the file.
func dropCredentials(getenv func(string) string) (path string, err error) {
	if path, err = credentialsPath(getenv); err != nil {
		return "", err
	}
	if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return path, err
}
