package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sumsFile is in the form that sha256sum --check reads.
const sumsFile = "SHA256SUMS"

func (r *release) sums(context.Context) error {
	var text strings.Builder
	slices.Sort(r.made)
	for _, name := range r.made {
		sum, err := sumOf(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	fmt.Print(text.String())
	return os.WriteFile(filepath.Join(r.out, sumsFile), []byte(text.String()), 0o644) //nolint:gosec // everybody may read it
}

func sumOf(path string) (string, error) {
	data, err := os.ReadFile(path)
	return fmt.Sprintf("%x", sha256.Sum256(data)), err
}
