package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// attachTime is how long an attach may take: the command, and to end it if it takes too long.
const attachTime = dynomad.AttachTime + 20*time.Second

func (s *Server) attach(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	wish := dynomad.Attach{Command: o.texts("command"), Alias: o.text("alias"), Stdin: o.text("stdin")}
	if o.err != nil {
		return o.err
	}
	done, err := s.platform.Attach(r.Context(), appKey(r), mux.Vars(r)["dyno"], wish)
	if err != nil {
		return err
	}
	defer done.Close()
	return respondExecuted(w, done)
}

// respondExecuted sends what a command put out as it is read: it may be too long for the memory. An error after the first
// byte breaks the answer off. A client may take its time as long as it goes on reading.
func respondExecuted(w http.ResponseWriter, done dynomad.Executed) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	out := &patient{w: w, control: http.NewResponseController(w)}
	for _, part := range []struct {
		before string
		text   io.Reader
	}{{`{"stdout":`, done.Stdout}, {`,"stderr":`, done.Stderr}} {
		if _, err := io.WriteString(out, part.before); err != nil {
			return err
		}
		if err := writeText(out, part.text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, ",\"exit_code\":%d}\n", done.ExitCode)
	return err
}

// patient gives each part of a long answer the time that an ordinary answer has.
type patient struct {
	w       io.Writer
	control *http.ResponseController
	sent    int
}

func (p *patient) Write(b []byte) (int, error) {
	const part = 1 << 20
	if p.sent += len(b); p.sent > part {
		p.sent = 0
		_ = p.control.SetWriteDeadline(time.Now().Add(sendTime)) // writers without deadlines have none
	}
	n, err := p.w.Write(b)
	if err != nil {
		return n, dynomad.Wrap(dynomad.Canceled, err, "The client did not read the answer.")
	}
	return n, nil
}

// writeText writes all that a reader has as one JSON text. What is no UTF-8 is replaced by U+FFFD, as everywhere in JSON.
func writeText(w io.Writer, text io.Reader) error {
	buffer := make([]byte, 32<<10)
	kept := 0 // bytes of a character whose end has not been read yet
	if _, err := io.WriteString(w, `"`); err != nil {
		return err
	}
	for {
		n, err := text.Read(buffer[kept:])
		whole := buffer[:kept+n]
		if err == nil {
			whole = whole[:len(whole)-unfinished(whole)]
		}
		if err := writeEscaped(w, whole); err != nil {
			return err
		}
		switch {
		case err == io.EOF:
			_, err := io.WriteString(w, `"`)
			return err
		case err != nil:
			return fmt.Errorf("read a command's output: %w", err)
		}
		kept = copy(buffer, buffer[len(whole):kept+n])
	}
}

// unfinished counts the bytes at the end of b that are the beginning of a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// writeEscaped writes what stands between the quotes of a JSON text.
func writeEscaped(w io.Writer, text []byte) error {
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(string(text)); err != nil {
		return err
	}
	_, err := w.Write(bytes.TrimSuffix(bytes.TrimPrefix(quoted.Bytes(), []byte(`"`)), []byte("\"\n")))
	return err
}
