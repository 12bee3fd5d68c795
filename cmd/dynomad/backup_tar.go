package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// maxKeyFile bounds what is read of a packed key, in bytes.
const maxKeyFile = 4 << 10

// packBeside puts database and key into a tar beside the place that it is for.
func packBeside(file, database, key string) (temp string, remove func(), err error) {
	temp, remove, err = tempBeside(file)
	if err != nil {
		return "", nil, err
	}
	if err := pack(temp, database, key); err != nil {
		remove()
		return "", nil, err
	}
	return temp, remove, nil
}

func pack(path, database, key string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := tar.NewWriter(f)
	for _, entry := range []struct{ name, from string }{{databaseFile, database}, {keyFile, key}} {
		if err := packFile(archive, entry.name, entry.from); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return f.Sync()
}

func packFile(archive *tar.Writer, name, from string) error {
	f, err := os.Open(from) //nolint:gosec // a file of the data folder, or the copy made of it
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: time.Now(), Typeflag: tar.TypeReg}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}

// unpack copies a backup into an empty folder: a database, or a tar of a database and a key.
func unpack(file, dir string) (packedKey bool, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file; what is in it is checked
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // only read
	head := make([]byte, len(sqliteMagic))
	if _, err := io.ReadFull(f, head); err != nil {
		return false, fmt.Errorf("%s is no backup: %w", file, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	if bytes.Equal(head, []byte(sqliteMagic)) {
		return false, unpackDatabase(f, file, dir)
	}
	return unpackTar(f, file, dir)
}

// sqliteMagic is how every SQLite database begins (https://www.sqlite.org/fileformat2.html).
const sqliteMagic = "SQLite format 3\x00"

func unpackDatabase(f io.Reader, file, dir string) error {
	if info, err := os.Stat(file + "-wal"); err == nil && info.Size() > 0 {
		return fmt.Errorf("%[1]s has its last writes in %[1]s-wal: it is a database in use or one that was not closed, and no backup; make one of it with \"dynomad backup\"", file)
	}
	return writeTo(dir, databaseFile, f)
}

// unpackTar takes out what pack put in.
func unpackTar(f io.Reader, file, dir string) (packedKey bool, err error) {
	seen := map[string]bool{}
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("%s is no backup, neither a database nor a tar: %w", file, err)
		}
		known := header.Name == databaseFile || header.Name == keyFile && header.Size <= maxKeyFile
		if !known || header.Typeflag != tar.TypeReg || seen[header.Name] {
			return false, fmt.Errorf("%s is no backup: %q does not belong in one", file, header.Name)
		}
		seen[header.Name] = true
		if err := writeTo(dir, header.Name, archive); err != nil {
			return false, err
		}
	}
	if !seen[databaseFile] {
		return false, fmt.Errorf("%s has no %s", file, databaseFile)
	}
	return seen[keyFile], nil
}
