package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// minToken is the shortest root token that is taken, in characters.
const minToken = 16

// newToken makes a secret of 256 random bits.
func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// ensureRootToken records the root token: the environment's, else the one in the data folder's file, which is made at first.
func (a *app) ensureRootToken(ctx context.Context) error {
	token := a.config.RootToken
	if token == "" {
		var err error
		if token, err = rootTokenFile(filepath.Join(a.config.DataDir, "root-token")); err != nil {
			return err
		}
	}
	if len(token) < minToken {
		return fmt.Errorf("the root token must have at least %d characters", minToken)
	}
	return a.store.EnsureRoot(ctx, dynomad.EnsureRoot(now(), uuid.NewString(), token))
}

func rootTokenFile(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a fixed name in the data folder
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the root token: %w", err)
	}
	token := newToken()
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the root token: %w", err)
	}
	return token, nil
}
