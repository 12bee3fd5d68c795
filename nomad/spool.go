package nomad

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
)

// errTooLong says that an output has reached its limit.
var errTooLong = errors.New("the output is too long")

// How much of one stream is kept in memory, and how much at all, in bytes.
const (
	maxMemory = 1 << 20
	maxSpool  = 512 << 20
)

// spoolLimits are how much a spool keeps in memory and at all, in bytes.
type spoolLimits struct{ memory, total int }

// spool keeps output: in memory while there is little, else in a temporary file. The file has no name any more when the first
// byte is written to it, so that it goes with this process, however that ends.
type spool struct {
	limits spoolLimits
	size   int
	memory bytes.Buffer
	file   *os.File
	writer *bufio.Writer // to file
}

func (s *spool) Write(p []byte) (int, error) {
	if s.size += len(p); s.size > s.limits.total {
		return 0, errTooLong
	}
	if s.file == nil && s.size <= s.limits.memory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		if err := s.toFile(); err != nil {
			return 0, err
		}
	}
	return s.writer.Write(p)
}

// toFile moves what was kept so far into a file.
func (s *spool) toFile() error {
	file, err := os.CreateTemp("", "dynomad-output-")
	if err != nil {
		return err
	}
	s.file, s.writer = file, bufio.NewWriterSize(file, 64<<10)
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	_, err = s.memory.WriteTo(s.writer)
	s.memory = bytes.Buffer{}
	return err
}

// reader gives what was kept, from its start. Closing it frees that.
func (s *spool) reader() (io.ReadCloser, error) {
	if s.file == nil {
		return io.NopCloser(&s.memory), nil
	}
	if err := s.writer.Flush(); err != nil {
		return nil, err
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

// close frees what was kept.
func (s *spool) close() {
	s.memory = bytes.Buffer{}
	if s.file != nil {
		_ = s.file.Close() // nobody wants what it has
	}
}
