package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
)

type row struct {
	Version int
	Name    string
}

func rows(n int) []row {
	var all []row
	for i := 1; i <= n; i++ {
		all = append(all, row{i, fmt.Sprintf("app%d", i)})
	}
	return all
}

func listRows(t *testing.T, all []row, header string) (*httptest.ResponseRecorder, []int, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if header != "" {
		r.Header.Set("Range", header)
	}
	w := httptest.NewRecorder()
	err := respondList(w, r, all,
		attribute[row]{name: "version", numeric: true, of: func(x row) string { return strconv.Itoa(x.Version) }},
		attribute[row]{name: "name", of: func(x row) string { return x.Name }})
	if err != nil {
		return w, nil, err
	}
	var got []row
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	versions := []int{}
	for _, x := range got {
		versions = append(versions, x.Version)
	}
	return w, versions, nil
}

func TestRespondList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header string
		want   []int
		status int
		next   string
	}{
		{"", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 200, ""},
		{"version ..", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 200, ""},
		{"version ..; order=desc,max=1", []int{12}, 206, "version ..12[; max=1, order=desc"},
		{"version ..; max=3, order=desc", []int{12, 11, 10}, 206, "version ..10[; max=3, order=desc"},
		{"version ..10[; max=3, order=desc", []int{9, 8, 7}, 206, "version ..7[; max=3, order=desc"},
		{"version ..;max=2;order=asc", []int{1, 2}, 206, "version ]2..; max=2"},
		{"version ]2..; max=2", []int{3, 4}, 206, "version ]4..; max=2"},
		{"version 3..5", []int{3, 4, 5}, 200, ""},
		{"version ]3..5[", []int{4}, 200, ""},
		{"version 9..", []int{9, 10, 11, 12}, 200, ""},
		{"version 0009..", []int{9, 10, 11, 12}, 200, ""},
		{"version 5..3", []int{}, 200, ""},
		{"version 3..11; order=desc, max=2", []int{11, 10}, 206, "version 3..10[; max=2, order=desc"},
		{"name app1..app2", []int{1, 10, 11, 12, 2}, 200, ""},
		{"name app3..; max=1", []int{3}, 206, "name ]app3..; max=1"},
		{"  version   ..10 ;  max=1  ", []int{1}, 206, "version ]1..10; max=1"},
		{"version ..; max=100000", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 200, ""},
		{"version ..;", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 200, ""},
	}
	for _, tt := range tests {
		w, got, err := listRows(t, rows(12), tt.header)
		if err != nil {
			t.Errorf("%q: %v", tt.header, err)
			continue
		}
		if !slices.Equal(got, tt.want) || w.Code != tt.status || w.Header().Get("Next-Range") != tt.next {
			t.Errorf("%q: %d %v, next %q; want %d %v, %q", tt.header, w.Code, got, w.Header().Get("Next-Range"), tt.status, tt.want, tt.next)
		}
		if w.Header().Get("Accept-Ranges") != "version, name" {
			t.Errorf("%q: Accept-Ranges %q", tt.header, w.Header().Get("Accept-Ranges"))
		}
	}
	w, _, _ := listRows(t, rows(12), "version ..; order=desc,max=2")
	if got := w.Header().Get("Content-Range"); got != "version 12..11; max=2" {
		t.Errorf("Content-Range %q", got)
	}
}

func TestRespondList_bad(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"bytes=0-99", "version", "version 1", "size ..", "version a..b", "version ..x", "version -1..", "version ..; max=0",
		"version ..; max=-1", "version ..; max=x", "version ..; order=up", "version ..; page=2", "; max=1", " ..", "..",
		"version 9999999999999999999..",
	} {
		if _, _, err := listRows(t, rows(3), header); kindOf(t.Context(), err) != badRange {
			t.Errorf("%q: %v", header, err)
		}
	}
}

func TestRespondList_empty(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"", "version ..; max=1"} {
		w, got, err := listRows(t, nil, header)
		if err != nil || w.Code != http.StatusOK || len(got) != 0 || w.Body.String() != "[]\n" {
			t.Errorf("%q: %d %q, %v", header, w.Code, w.Body, err)
		}
	}
}

// TestRespondList_walk follows Next-Range over values that are shared, and finds every item once.
func TestRespondList_walk(t *testing.T) {
	t.Parallel()
	all := rows(23)
	for i := range all {
		all[i].Name = fmt.Sprintf("web.%d", i/3)
	}
	for _, start := range []string{"name ..; max=2", "name ..; max=2, order=desc", "version ..; max=5", "version 2..20; max=4, order=desc"} {
		seen := map[int]int{}
		for header := start; header != ""; {
			w, got, err := listRows(t, all, header)
			if err != nil || len(got) == 0 {
				t.Fatalf("%q: %v, %v", header, got, err)
			}
			for _, v := range got {
				seen[v]++
			}
			header = w.Header().Get("Next-Range")
		}
		want := len(all)
		if start[8] == '2' {
			want = 19
		}
		if len(seen) != want {
			t.Errorf("%q: %d of %d items", start, len(seen), want)
		}
		for v, n := range seen {
			if n != 1 {
				t.Errorf("%q: version %d came %d times", start, v, n)
			}
		}
	}
}
