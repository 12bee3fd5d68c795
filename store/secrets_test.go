package store

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

const planted = "planted-s3cr3t-value-0123456789"

// TestSecrets_neverInTheFiles looks for planted values in everything that SQLite wrote, before and after it is closed.
func TestSecrets_neverInTheFiles(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	var log bytes.Buffer
	s := must[*Store](t)(Open(t.Context(), Config{Path: path, Key: testKey, Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})}))
	app := addApp(t, s, "shop")
	big := strings.Repeat(planted, 2000) // longer than a page
	configure(t, s, app.ID, dynomad.ConfigVars{"SECRET": planted, "BIG": big})
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{PutTypes: []dynomad.DynoType{{
			ID: uuid.NewString(), Type: "once", OneOff: true, Size: "gp1", Options: &dynomad.Options{Env: map[string]string{"SECRET": planted}},
		}}}
	})
	deploy(t, s, app.ID)
	addRun(t, s, app.ID, func(r *dynomad.Run) { r.Env = dynomad.ConfigVars{"SECRET": planted} })
	ended := addRun(t, s, app.ID, func(r *dynomad.Run) { r.Env = dynomad.ConfigVars{"SECRET": planted} })
	if err := s.EndRun(t.Context(), app.ID, ended.ID, dynomad.RunEnd{At: start, State: dynomad.StateStopped}); err != nil {
		t.Fatal(err)
	}
	lookForPlanted(t, path)
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), app.ID, allow, newAudit("app.delete")))
	var left int
	err := s.reader.QueryRowContext(t.Context(), `
		SELECT (SELECT count(*) FROM config_versions WHERE vars IS NOT NULL) + (SELECT count(*) FROM dyno_types)
		    + (SELECT count(*) FROM runs WHERE env IS NOT NULL)`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("got %d, %v; want no sealed value after the app is deleted", left, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lookForPlanted(t, path)
	if strings.Contains(log.String(), planted) || strings.Contains(log.String(), hex.EncodeToString(testKey)) {
		t.Error("the log shows a secret")
	}
	if log.Len() == 0 {
		t.Error("nothing was logged: the test looks at the wrong place")
	}
}

func lookForPlanted(t *testing.T, path string) {
	t.Helper()
	seen := 0
	for _, suffix := range []string{"", "-wal", "-shm"} {
		content, err := os.ReadFile(path + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		seen += len(content)
		for form, b := range formsOf(planted) {
			if bytes.Contains(content, b) {
				t.Errorf("%q has the value in %s", suffix, form)
			}
		}
	}
	if seen < 4096 {
		t.Errorf("only %d bytes were looked at", seen)
	}
}

// formsOf gives a value as it may be hidden in a file. Base64 depends on what stands before: three ways.
func formsOf(value string) map[string][]byte {
	forms := map[string][]byte{
		"plain": []byte(value), "hex": []byte(hex.EncodeToString([]byte(value))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(value)))),
	}
	for shift := range 3 {
		aligned := value[shift : shift+(len(value)-shift)/3*3]
		forms["base64+"+string(rune('0'+shift))] = []byte(base64.StdEncoding.EncodeToString([]byte(aligned)))
	}
	return forms
}

// TestSecrets_neverInErrors makes errors around planted values.
func TestSecrets_neverInErrors(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	state := configure(t, s, app.ID, dynomad.ConfigVars{"SECRET": planted})
	_, err := s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) {
		return dynomad.Edit{Config: &dynomad.Config{ID: state.ConfigID, Vars: dynomad.ConfigVars{"SECRET": planted}}}, nil
	})
	wantKind(t, err, dynomad.Conflict)
	errs := []error{err}
	if _, err := s.writer.ExecContext(t.Context(), `UPDATE config_versions SET vars = zeroblob(40)`); err != nil {
		t.Fatal(err)
	}
	_, err = s.AppState(t.Context(), app.ID)
	wantKind(t, err, dynomad.Internal)
	errs = append(errs, err)
	addTokens(t, s)
	token := newToken("x", "root")
	token.TokenHash = "hash of root"
	errs = append(errs, s.CreateAuthorization(t.Context(), token, newAudit("x")))
	for _, err := range errs {
		if err == nil || strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), token.TokenHash) {
			t.Errorf("got %v", err)
		}
	}
}
