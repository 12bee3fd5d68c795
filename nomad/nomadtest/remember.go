package nomadtest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// remembered is what the next Start with the same lasting data directory has to use again: Nomad's and Consul's data
// name their own addresses, and their first token can be chosen only once.
type remembered struct {
	Ports       Ports
	NomadToken  string
	ConsulToken string
}

const rememberFile = "nomadtest.json"

// recall reads what dir was last used with; nothing is no error.
func recall(dir string) (remembered, error) {
	var r remembered
	data, err := os.ReadFile(filepath.Join(dir, rememberFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("recalling the last start: %w", err)
	}
	return r, nil
}

func (r remembered) save(dir string) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, rememberFile), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remembering this start: %w", err)
	}
	return nil
}

// or takes the ports of last where none are asked for.
func (p Ports) or(last Ports) Ports {
	old := last.fields()
	for i, port := range p.fields() {
		if *port == 0 {
			*port = *old[i]
		}
	}
	if p.DynamicMin == 0 {
		p.DynamicMin, p.DynamicMax = last.DynamicMin, last.DynamicMax
	}
	return p
}

// newToken is a random UUID, the form that Nomad and Consul want their tokens in.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
