package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// The keys of table meta.
const (
	metaInstallation = "installation"
	metaKeyCheck     = "key_check" // a known text, sealed, by which another key is noticed at once
)

var errWrongKey = errors.New("the key is not the one that the database's config vars were encrypted with: " +
	"put back the secret.key that belongs to the database")

// Installation gives the id that marks what this installation owns in the cluster. It is made with the database.
func (s *Store) Installation(ctx context.Context) (string, error) {
	var id string
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		id, err = meta(ctx, tx, metaInstallation)
		return err
	})
	return id, err
}

// initialize writes what every database has, unless it is there: the installation's id, the default space, the key's check.
func initialize(ctx context.Context, tx *tx) error {
	if err := checkKey(ctx, tx); err != nil {
		return err
	}
	_, err := meta(ctx, tx, metaInstallation)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := setMeta(ctx, tx, metaInstallation, uuid.NewString()); err != nil {
		return err
	}
	return insertSpace(ctx, tx, dynomad.Space{
		ID: uuid.NewString(), Name: dynomad.DefaultSpace, CreatedAt: tx.now, UpdatedAt: tx.now,
	})
}

func checkKey(ctx context.Context, tx *tx) error {
	const place = "meta/" + metaKeyCheck
	kept, err := meta(ctx, tx, metaKeyCheck)
	if errors.Is(err, sql.ErrNoRows) {
		sealed, err := tx.sealer.seal(place, metaKeyCheck)
		if err != nil {
			return err
		}
		return setMeta(ctx, tx, metaKeyCheck, hex.EncodeToString(sealed))
	}
	if err != nil {
		return err
	}
	sealed, err := hex.DecodeString(kept)
	if err != nil {
		return errors.New("the key's check has an unknown form")
	}
	var check string
	if tx.sealer.unseal(place, sealed, &check) != nil {
		return errWrongKey
	}
	return nil
}

func meta(ctx context.Context, tx *tx, key string) (string, error) {
	value, err := one[string](ctx, tx, `SELECT value FROM meta WHERE key = ?`, key)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return value, nil
}

func setMeta(ctx context.Context, tx *tx, key, value string) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?)`, key, value); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
