//go:build integration

package main

import (
	"errors"
	"net/http"
	"testing"
	"time"

	heroku "github.com/heroku/heroku-go/v6"
)

// TestCluster_herokuGo drives apps, formation, config vars, releases, sizes and the account with Heroku's own Go client.
func TestCluster_herokuGo(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	h := heroku.NewService(&http.Client{Transport: &heroku.Transport{BearerToken: d.token}})
	h.URL = d.url
	ctx := t.Context()
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	name := "hgo"
	app, err := h.AppCreate(ctx, heroku.AppCreateOpts{Name: &name})
	ok("AppCreate", err)
	d.do(http.MethodPost, "/apps/hgo-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitDynos("hgo-default", "web", time.Minute, allReady(1))

	apps, err := h.AppList(ctx, nil)
	ok("AppList", err)
	if len(apps) != 1 || apps[0].ID != app.ID || apps[0].Name != "hgo-default" {
		t.Errorf("AppList gives %+v", apps)
	}
	on := true
	if app, err = h.AppUpdate(ctx, "hgo-default", heroku.AppUpdateOpts{Maintenance: &on}); err != nil || !app.Maintenance {
		t.Errorf("AppUpdate gives %+v, %v", app, err)
	}
	on = false
	_, err = h.AppUpdate(ctx, app.ID, heroku.AppUpdateOpts{Maintenance: &on})
	ok("AppUpdate back", err)

	var batch heroku.FormationBatchUpdateOpts
	two, size := 2, "gp1"
	batch.Updates = append(batch.Updates, struct {
		DynoSize *struct {
			ID   *string `json:"id,omitempty" url:"id,omitempty,key"`
			Name *string `json:"name,omitempty" url:"name,omitempty,key"`
		} `json:"dyno_size,omitempty" url:"dyno_size,omitempty,key"`
		Quantity *int   `json:"quantity,omitempty" url:"quantity,omitempty,key"`
		Type     string `json:"type" url:"type,key"`
	}{Quantity: &two, Type: "web"})
	formation, err := h.FormationBatchUpdate(ctx, "hgo-default", batch)
	ok("FormationBatchUpdate", err)
	if len(formation) != 1 || formation[0].Quantity != 2 {
		t.Errorf("FormationBatchUpdate gives %+v", formation)
	}
	var single heroku.FormationUpdateOpts
	single.DynoSize = &struct {
		ID   *string `json:"id,omitempty" url:"id,omitempty,key"`
		Name *string `json:"name,omitempty" url:"name,omitempty,key"`
	}{Name: &size}
	if f, err := h.FormationUpdate(ctx, "hgo-default", "web", single); err != nil || f.Size != size {
		t.Errorf("FormationUpdate gives %+v, %v", f, err)
	}
	list, err := h.FormationList(ctx, "hgo-default", nil)
	ok("FormationList", err)
	if len(list) != 1 || list[0].DynoSize.Name != size {
		t.Errorf("FormationList gives %+v", list)
	}

	value := "1"
	vars, err := h.ConfigVarUpdate(ctx, "hgo-default", map[string]*string{"A": &value, "GONE": nil})
	ok("ConfigVarUpdate", err)
	if len(vars) != 1 || *vars["A"] != "1" {
		t.Errorf("ConfigVarUpdate gives %v", vars)
	}
	releases, err := h.ReleaseList(ctx, "hgo-default", &heroku.ListRange{Field: "version", Descending: true, Max: 1})
	ok("ReleaseList", err)
	if len(releases) != 1 || releases[0].Version != 2 {
		t.Errorf("ReleaseList gives %+v", releases)
	}
	_, err = h.ConfigVarInfoForAppRelease(ctx, "hgo-default", "2")
	ok("ConfigVarInfoForAppRelease", err)
	back, err := h.ReleaseRollback(ctx, "hgo-default", heroku.ReleaseRollbackOpts{Release: "1"})
	ok("ReleaseRollback", err)
	if back.Version != 3 || back.Description != "Rollback to v1" {
		t.Errorf("ReleaseRollback gives %+v", back)
	}
	dynos, err := h.DynoList(ctx, "hgo-default", nil)
	ok("DynoList", err)
	if len(dynos) == 0 || dynos[0].Name != "web.1" {
		t.Errorf("DynoList gives %+v", dynos)
	}
	ttl := 60
	run, err := h.DynoCreate(ctx, "hgo-default", heroku.DynoCreateOpts{Command: "echo $TERM && date", Env: map[string]string{"TERM": "dumb"}, TimeToLive: &ttl})
	ok("DynoCreate", err)
	if run.Name != "run.1001" || run.Type != "run" || run.Command != "echo $TERM && date" || run.State != "starting" {
		t.Errorf("DynoCreate gives %+v", run)
	}
	if one, err := h.DynoInfo(ctx, "hgo-default", run.Name); err != nil || one.ID != run.ID {
		t.Errorf("DynoInfo gives %+v, %v", one, err)
	}
	_, err = h.DynoStop(ctx, "hgo-default", run.Name)
	ok("DynoStop", err)
	sizes, err := h.DynoSizeList(ctx, nil)
	ok("DynoSizeList", err)
	account, err := h.AccountInfo(ctx)
	ok("AccountInfo", err)
	if len(sizes) != 10 || account.Email != "root@dynomad.local" {
		t.Errorf("got %d sizes and the account %s", len(sizes), account.Email)
	}

	_, err = h.AppInfo(ctx, "nothere-default")
	var answer heroku.Error
	if !errors.As(err, &answer) || answer.ID != "not_found" || answer.StatusCode != http.StatusNotFound {
		t.Errorf("AppInfo of no app: %v", err)
	}
	_, err = h.AppDelete(ctx, "hgo-default")
	ok("AppDelete", err)
}
