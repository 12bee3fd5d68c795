package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// keySize is the length of the key of AES-256, in bytes.
const keySize = 32

// Key is the secret that config vars are encrypted with. It prints as "redacted".
type Key []byte

// Format prints the key for no verb.
func (Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "redacted") // a fmt.State has no error that matters
}

// LoadKey reads the key of a data directory, or makes one if there is none. The file holds 64 hexadecimal digits and must
// be closed to other users. Without it the config vars in the database are lost: it belongs into every backup.
func LoadKey(path string) (Key, error) {
	key, err := readKey(path)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	if err := makeKey(path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	return readKey(path)
}

func readKey(path string) (Key, error) {
	f, err := os.Open(path) //nolint:gosec // a fixed name in the data folder
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the key file %s is no regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s can be used by others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 4*keySize))
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		// The cause is left out: it could show a part of the key.
		return nil, fmt.Errorf("the key file %s must hold %d hexadecimal digits (%d bytes)", path, 2*keySize, keySize)
	}
	return key, nil
}

// makeKey writes a new key beside its place and then links it there, so that the file is whole at every instant and never
// takes another's place.
func makeKey(path string) error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a left-over is harmless
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sealer encrypts values with AES-256-GCM under random nonces. A sealed value is bound to the place that it is kept at, so
// that it cannot be moved to another.
type sealer struct{ aead cipher.AEAD }

func newSealer(key Key) (sealer, error) {
	if len(key) != keySize {
		return sealer{}, fmt.Errorf("the key must be %d bytes, not %d", keySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("use the key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("use the key: %w", err)
	}
	return sealer{aead}, nil
}

// seal encrypts v, as JSON, for a place.
func (s sealer) seal(place string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", place, err)
	}
	return s.aead.Seal(nil, nil, plain, []byte(place)), nil //nolint:gosec // the nonce is random: NewGCMWithRandomNonce makes it, and wants nil here
}

// unseal decrypts what was sealed for a place into v. Its errors tell nothing of the value.
func (s sealer) unseal(place string, sealed []byte, v any) error {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return fmt.Errorf("%s cannot be decrypted: the key is another or the value was changed", place)
	}
	if json.Unmarshal(plain, v) != nil {
		return fmt.Errorf("%s has an unknown form", place)
	}
	return nil
}
