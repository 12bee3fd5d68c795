package fallback

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// text is what an answer says.
type text struct {
	status         int
	title, message string
	retry          int // seconds after which to try again; 0 is never
}

// texts are all that strangers are ever told.
var texts = map[condition]text{
	missing:     {http.StatusNotFound, "No such app", "There is no app at this address.", 0},
	maintenance: {http.StatusServiceUnavailable, "Under maintenance", "This app is under maintenance and will be back.", 60},
	starting:    {http.StatusServiceUnavailable, "Starting", "This app is starting. Try again in a moment.", 5},
	unavailable: {http.StatusServiceUnavailable, "Not available", "This app does not answer at the moment. Try again later.", 15},
}

// answer is one condition's answer, ready to be sent.
type answer struct {
	status     int
	retry      string // of Retry-After; "" is none
	policy     string // of Content-Security-Policy, for the page
	page, json []byte
}

//go:embed page.css
var style string

//go:embed page.html
var pageText string

// render makes all answers.
func render() map[condition]answer {
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	answers := map[condition]answer{}
	for c, t := range texts {
		a := answer{status: t.status, policy: policy, page: t.page()}
		if t.retry > 0 {
			a.retry = strconv.Itoa(t.retry)
		}
		a.json, _ = json.Marshal(jsonAnswer{ID: c, Message: t.message}) // two strings
		a.json = append(a.json, '\n')
		answers[c] = a
	}
	return answers
}

// page fills in the page. All that goes in is constant.
func (t text) page() []byte {
	fill := strings.NewReplacer(
		"{{style}}", style, "{{status}}", strconv.Itoa(t.status), "{{title}}", t.title, "{{message}}", t.message,
	)
	return []byte(fill.Replace(pageText))
}

// jsonAnswer has the shape of all errors of the daemon.
type jsonAnswer struct {
	ID      condition `json:"id"`
	Message string    `json:"message"`
}

// send answers a request: with the page if it comes from a browser, else with JSON. The body of the request is not read.
func (a answer) send(w http.ResponseWriter, r *http.Request) {
	h, body := w.Header(), a.json
	h.Set("Content-Type", "application/json")
	if wantsPage(r.Header.Values("Accept")) {
		body = a.page
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", a.policy)
		h.Set("Referrer-Policy", "no-referrer")
	}
	if a.retry != "" {
		h.Set("Retry-After", a.retry)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // fails only when the visitor is gone; net/http leaves it out for HEAD
}

// wantsPage reports whether an Accept header names HTML and does not refuse it.
func wantsPage(accept []string) bool {
	for _, entry := range strings.Split(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(entry)
		if err != nil || (kind != "text/html" && kind != "application/xhtml+xml") {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
			return true
		}
	}
	return false
}
