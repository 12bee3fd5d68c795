package nomadtest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lastLines is the end of a file: at most n lines, or why it cannot be read.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// lastErrors are the last lines of a log that tell of errors, or its very last ones if none do. What an agent prints
// after the error that ends it is about its shutdown.
func lastErrors(path string) string {
	var errs []string
	for line := range strings.Lines(lastLines(path, 100)) {
		if strings.Contains(line, "[ERROR]") || strings.Contains(line, "Error") {
			errs = append(errs, strings.TrimSpace(line))
		}
	}
	if len(errs) == 0 {
		return lastLines(path, 5)
	}
	return strings.Join(errs[max(0, len(errs)-5):], "\n")
}

// KeepLogs copies the logs of all parts to a new directory, which Close leaves alone, and returns its path.
func (c *Cluster) KeepLogs() (string, error) {
	kept, err := os.MkdirTemp("", "nomadtest-logs-")
	if err != nil {
		return "", fmt.Errorf("keeping logs: %w", err)
	}
	for _, p := range c.parts() {
		data, err := os.ReadFile(p.LogPath())
		if err != nil {
			return kept, fmt.Errorf("keeping logs: %w", err)
		}
		if err := os.WriteFile(filepath.Join(kept, p.Name()+".log"), data, 0o600); err != nil {
			return kept, fmt.Errorf("keeping logs: %w", err)
		}
	}
	return kept, nil
}

// reportLogs prints the last lines of every part's log, and where the whole logs were kept.
func (c *Cluster) reportLogs(w io.Writer, lines int) error {
	for _, p := range c.parts() {
		if _, err := fmt.Fprintf(w, "--- %s, last lines:\n%s\n", p.Name(), lastLines(p.LogPath(), lines)); err != nil {
			return err
		}
	}
	kept, err := c.KeepLogs()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "--- whole logs: %s\n", kept)
	return err
}
