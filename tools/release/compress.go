package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
)

// compressed gives data as gzip -9n does: without a name or a time.
func compressed(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// compressAll compresses the files of a folder, as Debian wants manual pages, for everybody to read whatever the umask.
func compressAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if data, err = compressed(data); err != nil {
			return err
		}
		if err := os.WriteFile(path+".gz", data, 0o600); err != nil {
			return err
		}
		if err := os.Chmod(path+".gz", 0o644); err != nil { //nolint:gosec // everybody may read it
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
