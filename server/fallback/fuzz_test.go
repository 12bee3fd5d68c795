package fallback

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzPages has a visitor ask anything of any host. The pages say nothing of the platform's insides, and repeat nothing that could be markup.
func FuzzPages(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "down-default.apps.test", "/", "text/html"},
		{"HEAD", "new-default.apps.test:80", "/a?b=<script>", "application/json"},
		{"POST", "zero-default.apps.test", "/", "*/*;q=0"},
		{"OPTIONS", "nothere-default.apps.test", "*", ""},
		{"BREW", "broken-default.apps.test", "//x", "text/html;q=x"},
		{"GET", "<b>.apps.test", "/", "a/b;c=\"\\"},
		{"GET", "", "/", "\x00"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	handler := New(Config{Domain: "apps.test", Apps: newWorld(), Dynos: newWorld(), StartTime: time.Minute, Now: func() time.Time { return now }})
	f.Fuzz(func(t *testing.T, method, host, path, accept string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Method, r.Host, r.URL.Path = method, host, path
		r.Header["Accept"] = []string{accept}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		body := w.Body.String()
		if w.Code != http.StatusNotFound && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%q %q %q: %d", method, host, path, w.Code)
		}
		for _, inner := range []string{"s3cret", "137", "n1", "disk on fire", "id-of-"} {
			if strings.Contains(body, inner) && !strings.Contains(method+host+path+accept, inner) {
				t.Errorf("%q %q %q: the answer says %q: %s", method, host, path, inner, body)
			}
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<b>") {
			t.Errorf("%q %q %q: %s", method, host, path, body)
		}
	})
}
