package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// plants are secrets that a test hands out, and looks for afterwards in everything that was written.
type plants struct {
	mu    sync.Mutex
	forms map[string]map[string][]byte // by the secret's name and the form
}

// secret makes one that is nowhere else: a word in random letters between characters that others escape.
func (p *plants) secret(name string) string {
	return `"<` + p.word(name) + `>&+/% ä` + "\n"
}

// word is secret without anything to escape, for where not all characters may stand. It is longer than any name.
func (p *plants) word(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	word := make([]byte, 40)
	for i := range word {
		word[i] = letters[rand.IntN(len(letters))]
	}
	return p.add(name, string(word))
}

// add takes a secret that somebody else has made.
func (p *plants) add(name, secret string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forms == nil {
		p.forms = map[string]map[string][]byte{}
	}
	if len(secret) < 16 || p.forms[name] != nil {
		panic("the secret " + name + " is too short to be told from chance, or is there already")
	}
	p.forms[name] = formsOf(secret)
	return secret
}

// formsOf gives what a secret looks like where it is encoded, whatever stands around it. Escapes for URLs and JSON leave letters and
// digits as they are, unless somebody escapes all.
func formsOf(secret string) map[string][]byte {
	var percent, unicode strings.Builder
	for _, b := range []byte(secret) {
		fmt.Fprintf(&percent, "%%%02x", b)
		fmt.Fprintf(&unicode, `\u%04x`, b)
	}
	forms := map[string]string{
		"plain": secret, "PLAIN": strings.ToUpper(secret), "reversed": reversed(secret),
		"hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"%": percent.String(), "%%": strings.ToUpper(percent.String()), `\u`: unicode.String(), `\U`: strings.ReplaceAll(strings.ToUpper(unicode.String()), "U", "u"),
	}
	for shift := range 3 { // what stands before decides how the bytes are cut up
		aligned := secret[shift : shift+(len(secret)-shift)/3*3]
		forms["base64+"+strconv.Itoa(shift)] = base64.StdEncoding.EncodeToString([]byte(aligned))
		forms["base64url+"+strconv.Itoa(shift)] = base64.URLEncoding.EncodeToString([]byte(aligned))
	}
	out := map[string][]byte{}
	for form, text := range forms {
		out[form] = []byte(text)
	}
	return out
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// find names the secrets that stand in a text, each with its form.
func (p *plants) find(text []byte) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []string
	for _, name := range slices.Sorted(maps.Keys(p.forms)) {
		for _, form := range slices.Sorted(maps.Keys(p.forms[name])) {
			if bytes.Contains(text, p.forms[name][form]) {
				found = append(found, name+" ("+form+")")
				break
			}
		}
	}
	return found
}

// TestPlants_find hides a secret in every way in which it could be written. What finds nothing here proves nothing elsewhere.
func TestPlants_find(t *testing.T) {
	t.Parallel()
	var p plants
	secret := p.secret("a value")
	token := p.word("a token")
	p.word("never written")
	for how, text := range map[string]string{
		"plain": secret, "in a line": "password=" + secret + "!", "JSON": strconv.Quote(secret), "JSON in JSON": strconv.Quote(strconv.Quote(secret)),
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret), "hex": hex.EncodeToString([]byte(secret)),
		"HEX": fmt.Sprintf("%X", secret), "bytes": fmt.Sprintf("% x", token) + secret, "Go": fmt.Sprintf("%#v", map[string]string{"X": secret}),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "base64, shifted by 1": base64.StdEncoding.EncodeToString([]byte("x" + secret)),
		"base64, shifted by 2": base64.RawURLEncoding.EncodeToString([]byte("xy" + secret)), "basic": base64.StdEncoding.EncodeToString([]byte("user:" + secret)),
		"all percent": string(formsOf(secret)["%"]), "all unicode": string(formsOf(secret)[`\u`]), "upper case": strings.ToUpper(secret), "reversed": reversed(secret),
	} {
		found := p.find([]byte("before it " + text + " and after it"))
		if len(found) != 1 || !strings.HasPrefix(found[0], "a value (") {
			t.Errorf("%s: found %v in %q", how, found, text)
		}
	}
	if found := p.find([]byte("Authorization: Bearer " + token)); len(found) != 1 || found[0] != "a token (plain)" {
		t.Errorf("found %v", found)
	}
	if found := p.find([]byte(strings.ToLower(secret[:20]) + strings.Repeat("other text ", 1000))); found != nil {
		t.Errorf("found %v where there is none", found)
	}
}
