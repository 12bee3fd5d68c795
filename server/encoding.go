package server

import (
	"bytes"
	"compress/gzip"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// zipFrom is the size in bytes from which an answer is compressed for those who ask for it. A smaller one is one packet either way.
const zipFrom = 1400

// zippers are writers that are not in use: to make one takes longer than to compress an answer.
var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // there is such a level
	return z
}}

// zipped compresses a text.
func zipped(text []byte) []byte {
	z, _ := zippers.Get().(*gzip.Writer) // the pool has nothing else
	defer zippers.Put(z)
	var out bytes.Buffer
	z.Reset(&out)
	_, _ = z.Write(text) // a buffer takes all
	_ = z.Close()
	return out.Bytes()
}

// send sends a text as JSON, compressed by zip if it is worth that and the client asked for it.
func send(w http.ResponseWriter, status int, text []byte, zip func() []byte) {
	h := w.Header()
	if len(text) >= zipFrom {
		h.Set("Vary", "Accept-Encoding")
		if rec, ok := w.(*recorder); ok && takesGzip(rec.codings) {
			h.Set("Content-Encoding", "gzip")
			text = zip()
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // fails only when the client is gone
}

// takesGzip reports whether a client asks for answers in gzip by its Accept-Encoding headers, and does not like them better as they are
// (RFC 9110, section 12.5.3). One that says nothing may not know of it. Akkeris' and Nomad's own clients ask.
func takesGzip(headers []string) bool {
	if len(headers) == 1 && headers[0] == "gzip" {
		return true
	}
	weights := map[string]float64{}
	for entry := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, params, err := mime.ParseMediaType(entry)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, given := params["q"]; given {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		weights[strings.TrimPrefix(coding, "x-")] = weight
	}
	gzip, named := weights["gzip"]
	if !named {
		gzip = weights["*"]
	}
	return gzip > 0 && gzip >= weights["identity"]
}
