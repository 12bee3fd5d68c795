package server

import (
	"sync"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

// maxBodies bounds the memory of bodies, in bytes of text; compressed, they take a tenth more. Past it all are forgotten and made again as they are asked for.
const maxBodies = 64 << 20

// bodies keeps what lists of dynos were answered with: to encode a list takes far longer than to see that it is still right,
// and clients ask for the same one again and again.
type bodies struct {
	mu   sync.RWMutex
	kept map[bodyKey]body
	size int
}

// bodyKey says whose list it is and how it is worded.
type bodyKey struct {
	appID   string
	dialect dialect.Dialect
}

// body is an encoded list and what it was made of. Nobody changes the text. It is compressed once, when somebody asks for that.
type body struct {
	mark dynomad.DynoMark
	text []byte
	zip  func() []byte
}

func newBodies() *bodies { return &bodies{kept: map[bodyKey]body{}} }

// get gives the body that a look would lead to, if that was made before.
func (b *bodies) get(key bodyKey, look dynomad.DynoLook) (body, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	found, ok := b.kept[key]
	return found, ok && look.Shows(found.mark)
}

// put keeps a body in place of an earlier one and gives it.
func (b *bodies) put(key bodyKey, mark dynomad.DynoMark, text []byte) body {
	made := body{mark: mark, text: text, zip: sync.OnceValue(func() []byte { return zipped(text) })}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size > maxBodies {
		clear(b.kept)
		b.size = 0
	}
	b.size += len(text) - len(b.kept[key].text)
	b.kept[key] = made
	return made
}
