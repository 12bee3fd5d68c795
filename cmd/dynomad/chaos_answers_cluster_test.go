//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fields are what the model knows of an object in an answer; the object may have others.
type fields map[string]any

// answerDiffers tells how an answer differs from what the model says; "" is not at all. Fields are compared with the object's of those names, a
// []any place by place, and everything else must be exactly the same.
func answerDiffers(answer []byte, want any) string {
	var got any
	if err := json.Unmarshal(answer, &got); err != nil {
		return fmt.Sprintf("%v in %.500q", err, answer)
	}
	return strings.Join(differences("", got, want), "\n")
}

func differences(at string, got, want any) []string {
	var all []string
	switch want := want.(type) {
	case fields:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %v is no object", at, got)}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			value, has := object[name]
			if !has {
				all = append(all, fmt.Sprintf("%s.%s: missing", at, name))
				continue
			}
			all = append(all, differences(at+"."+name, value, want[name])...)
		}
		return all
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return []string{fmt.Sprintf("%s: %v, want a list of %d", at, got, len(want))}
		}
		for i := range want {
			all = append(all, differences(fmt.Sprintf("%s[%d]", at, i), list[i], want[i])...)
		}
		return all
	}
	var plain any
	if err := json.Unmarshal([]byte(marshal(want)), &plain); err != nil {
		return []string{fmt.Sprintf("%s: %v", at, err)}
	}
	if !cmp.Equal(got, plain) {
		all = append(all, fmt.Sprintf("%s: %#v, want %#v", at, got, plain))
	}
	return all
}

// orNil gives null for a text that is not there.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (w world) saysApp(name string) any {
	a := w[name]
	image := ""
	if n := a.last().Build; n > 0 {
		image = a.Builds[n-1].Image
	}
	return fields{
		"name": name, "key": name, "simple_name": strings.TrimSuffix(name, "-default"), "space": fields{"name": "default"},
		"description": a.Description, "maintenance": a.Maintenance, "image": image, "formation": w.saysFormation(name),
	}
}

func (w world) saysFormation(name string) any {
	return w.saysTypes(name, slices.Sorted(maps.Keys(w[name].Types))...)
}

func (w world) saysTypes(name string, types ...string) any {
	list := []any{}
	for _, dynoType := range types {
		list = append(list, w.saysType(name, dynoType))
	}
	return list
}

func (w world) saysType(name, dynoType string) any {
	t := w[name].Types[dynoType]
	var port any
	if dynoType == webType {
		port = defaultConfig().DefaultPort
	}
	return fields{
		"app": fields{"name": name}, "type": dynoType, "quantity": t.Quantity, "size": t.Size, "dyno_size": fields{"name": t.Size},
		"command": orNil(t.Command), "healthcheck": orNil(t.Healthcheck), "port": port, "oneoff": false, "schedule": nil, "options": struct{}{},
	}
}

// saysConfig is the config vars, no more and no less.
func saysConfig(config map[string]string) any {
	out := map[string]string{}
	maps.Copy(out, config)
	return out
}

func (w world) saysBuild(name string, number int) fields {
	b := w[name].Builds[number-1]
	out := fields{
		"app": fields{"name": name}, "number": number, "image": b.Image, "process_types": saysConfig(b.ProcessTypes), "status": "succeeded",
		"source_blob": fields{"url": b.Image},
	}
	if b.ID != "" {
		out["id"], out["slug"] = b.ID, fields{"id": b.ID}
	}
	return out
}

// saysNewBuild is saysBuild for the newest one, of which it is known whether it has a release.
func (w world) saysNewBuild(name string) any {
	out := w.saysBuild(name, len(w[name].Builds))
	if !w[name].AutoRelease {
		out["release"] = nil
	}
	return out
}

func (w world) saysRelease(name string, version int) any {
	r := w[name].Releases[version-1]
	out := fields{"app": fields{"name": name}, "version": version, "description": r.Description}
	switch {
	case r.Build == 0:
		out["slug"] = nil
	case w[name].Builds[r.Build-1].ID != "":
		out["slug"] = fields{"id": w[name].Builds[r.Build-1].ID}
	}
	return out
}

func (w world) saysNewRelease(name string) any { return w.saysRelease(name, len(w[name].Releases)) }

func (w world) saysFeature(name string) any {
	return fields{"name": "auto-release", "enabled": w[name].AutoRelease}
}

// saysRefused is the answer to a write that is refused.
func saysRefused(status int) any {
	ids := map[int]string{http.StatusNotFound: "not_found", http.StatusConflict: "conflict", http.StatusUnprocessableEntity: "invalid_params"}
	return fields{"id": ids[status]}
}

// list gives what is said of each of n, which count from 1.
func list[T any](n int, says func(number int) T) any {
	all := []any{}
	for i := range n {
		all = append(all, says(i+1))
	}
	return all
}

// question is a read, and what the model says of its answer.
type question struct {
	path   string
	status int
	want   any
}

// questions are all reads of an app that the model knows the answers to.
func (w world) questions(name string) []question {
	a := w[name]
	if a == nil {
		return []question{{"/apps/" + name, http.StatusNotFound, saysRefused(http.StatusNotFound)}}
	}
	var all []question
	add := func(path string, want any) { all = append(all, question{"/apps/" + name + path, http.StatusOK, want}) }
	add("", w.saysApp(name))
	add("/formation", w.saysFormation(name))
	add("/config-vars", saysConfig(a.Config))
	add("/features/auto-release", w.saysFeature(name))
	add("/builds", list(len(a.Builds), func(i int) fields { return w.saysBuild(name, i) }))
	add("/releases", list(len(a.Releases), func(i int) any { return w.saysRelease(name, i) }))
	for _, dynoType := range slices.Sorted(maps.Keys(a.Types)) {
		add("/formation/"+dynoType, w.saysType(name, dynoType))
	}
	for i, r := range a.Releases {
		add(fmt.Sprint("/releases/", i+1), w.saysRelease(name, i+1))
		add(fmt.Sprint("/releases/", i+1, "/config-vars"), saysConfig(r.Config))
	}
	for i, b := range a.Builds {
		if b.ID != "" {
			add("/builds/"+b.ID, w.saysBuild(name, i+1))
		}
	}
	return all
}

// readSome makes a read between two writes and compares its answer with the model's. One that is cut off by a kill says nothing.
func (c *chaos) readSome(r *rand.Rand) {
	c.tb.Helper()
	all := c.world.questions(fmt.Sprintf("%s%d-default", c.prefix, 1+r.IntN(c.plan.apps)))
	one := all[r.IntN(len(all))]
	ctx, cancel := context.WithTimeout(c.tb.Context(), 30*time.Second)
	defer cancel()
	status, answer, err := c.try(ctx, http.MethodGet, one.path, "")
	if err != nil && c.killer != nil {
		return
	}
	if err != nil || status != one.status {
		c.tb.Fatalf("GET %s: got %d %s (%v), want %d", one.path, status, answer, err, one.status)
	}
	if diff := answerDiffers(answer, one.want); diff != "" {
		c.tb.Errorf("GET %s is not answered as the model says:\n%s", one.path, diff)
	}
	c.reads++
}

// answered compares the answer to a write with what the model says of it. A write has no answer that could be read whole if the daemon was
// killed while it sent it: then err says so.
func answered(a act, status int, answer []byte, err error, before, after world) error {
	if err != nil {
		return nil //nolint:nilerr // the caller wants such only of a daemon that is killed
	}
	want := saysRefused(status)
	if status/100 == 2 {
		want = a.says(before, after)
	}
	if diff := answerDiffers(answer, want); diff != "" {
		return errors.New(diff)
	}
	return nil
}
