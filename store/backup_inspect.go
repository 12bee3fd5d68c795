package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// Contents are what a database file has, without what it keeps secret.
type Contents struct {
	Schema       int    // the newest migration that it has
	Newest       int    // the newest that this version knows
	Installation string // whose jobs it is about
	Apps         int    // that are not deleted
	Sealed       int    // values that are encrypted; 0 if its schema is newer than this version's
	Locked       int    // … that the key does not open
	KeyFits      bool   // the key is the one that it was made with
}

// runsSchema is the first schema that has the table runs.
const runsSchema = 4

// Newer reports whether the database is of a version of dynomad newer than this one.
func (c Contents) Newer() bool { return c.Schema > c.Newest }

// Inspect reads a database file that no process uses: that it is intact, which schema it has, and what of it a key opens. A nil
// key opens nothing. It writes nothing to the database.
func Inspect(ctx context.Context, path string, key Key) (c Contents, err error) {
	all, err := migrations()
	if err != nil {
		return c, err
	}
	c.Newest = len(all)
	if _, err := os.Stat(path); err != nil {
		return c, fmt.Errorf("find the database: %w", err)
	}
	db, err := openPlain(path, url.Values{"mode": {"rw"}, "_query_only": {"on"}})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return c, fmt.Errorf("%s is no intact database: %w", path, err)
	}
	defer conn.Close() //nolint:errcheck // goes back to the pool, which is closed
	if err := checkWhole(ctx, conn); err != nil {
		return c, fmt.Errorf("%s is no intact database: %w", path, err)
	}
	if err := c.read(ctx, conn); err != nil {
		return c, fmt.Errorf("%s is no database of dynomad: %w", path, err)
	}
	if c.Newer() || key == nil {
		return c, nil
	}
	seal, err := newSealer(key)
	if err != nil {
		return c, err
	}
	return c, c.open(ctx, conn, seal)
}

func (c *Contents) read(ctx context.Context, conn *sql.Conn) error {
	for _, q := range []struct {
		query string
		into  any
	}{
		{`SELECT max(version) FROM schema_migrations`, &c.Schema},
		{`SELECT value FROM meta WHERE key = '` + metaInstallation + `'`, &c.Installation},
		{`SELECT count(*) FROM apps WHERE deleted_at IS NULL`, &c.Apps},
	} {
		if err := conn.QueryRowContext(ctx, q.query).Scan(q.into); err != nil {
			return err
		}
	}
	return nil
}

// open tries the key on the check and on everything that is sealed.
func (c *Contents) open(ctx context.Context, conn *sql.Conn, seal sealer) error {
	var kept string
	err := conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, metaKeyCheck).Scan(&kept)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the key's check: %w", err)
	}
	sealed, err := hex.DecodeString(kept)
	var text string
	c.KeyFits = err == nil && seal.unseal("meta/"+metaKeyCheck, sealed, &text) == nil
	queries := []string{
		`SELECT 'config_versions/' || id, vars FROM config_versions WHERE vars IS NOT NULL`,
		`SELECT 'dyno_types/' || id, options FROM dyno_types WHERE options IS NOT NULL`,
	}
	if c.Schema >= runsSchema {
		queries = append(queries, `SELECT 'runs/' || id, env FROM runs WHERE env IS NOT NULL`)
	}
	for _, query := range queries {
		if err := c.tryEach(ctx, conn, seal, query); err != nil {
			return fmt.Errorf("read what is encrypted: %w", err)
		}
	}
	return nil
}

// tryEach counts what a query finds, places and what is sealed for them, and what of it the key does not open.
func (c *Contents) tryEach(ctx context.Context, conn *sql.Conn, seal sealer, query string) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var place string
		var sealed []byte
		if err := rows.Scan(&place, &sealed); err != nil {
			return err
		}
		c.Sealed++
		var value any
		if seal.unseal(place, sealed, &value) != nil {
			c.Locked++
		}
	}
	return rows.Err()
}

// ReadKey reads the key of a data directory. Other than LoadKey it makes none.
func ReadKey(path string) (Key, error) { return readKey(path) }
