package store

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// busyApp makes an app with a long past among others.
func busyApp(b *testing.B, s *Store) string {
	b.Helper()
	for i := range 50 {
		app := addApp(b, s, fmt.Sprintf("app%d", i))
		deploy(b, s, app.ID)
	}
	app := addApp(b, s, "shop")
	vars := dynomad.ConfigVars{}
	for i := range 40 {
		vars[fmt.Sprintf("NAME_%d", i)] = "a value of ordinary length, such as an address"
	}
	for range 200 {
		deploy(b, s, app.ID)
		configure(b, s, app.ID, vars)
	}
	edit(b, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{PutTypes: []dynomad.DynoType{
			{ID: uuid.NewString(), Type: "web", Size: "gp2", Port: 9000, CreatedAt: start, UpdatedAt: start},
			{ID: uuid.NewString(), Type: "worker", Size: "gp2", CreatedAt: start, UpdatedAt: start},
		}}
	})
	return app.ID
}

func BenchmarkEditApp(b *testing.B) {
	s := newStore(b)
	app := busyApp(b, s)
	for b.Loop() {
		edit(b, s, app, func(state dynomad.AppState) dynomad.Edit {
			t := state.Types[1]
			t.Quantity = (t.Quantity + 1) % 20
			return dynomad.Edit{PutTypes: []dynomad.DynoType{t}, Audits: []dynomad.Audit{newAudit("formation.update")}}
		})
	}
}

func BenchmarkAppState(b *testing.B) {
	s := newStore(b)
	app := busyApp(b, s)
	for b.Loop() {
		must[dynomad.AppState](b)(s.AppState(b.Context(), app))
	}
}

func BenchmarkWanted(b *testing.B) {
	s := newStore(b)
	app := busyApp(b, s)
	for b.Loop() {
		must[dynomad.Wanted](b)(s.Wanted(b.Context(), app))
	}
}

func BenchmarkApps(b *testing.B) {
	s := newStore(b)
	busyApp(b, s)
	for b.Loop() {
		must[[]dynomad.AppState](b)(s.Apps(b.Context()))
	}
}

// BenchmarkEditApp_writers has sixteen writers edit apps of their own.
func BenchmarkEditApp_writers(b *testing.B) {
	const writers = 16
	s := newStore(b)
	busyApp(b, s)
	apps := make(chan string, writers)
	for i := range writers {
		apps <- must[dynomad.AppState](b)(s.AppState(b.Context(), fmt.Sprintf("app%d-default", i))).App.ID
	}
	b.SetParallelism((writers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		app := <-apps
		for n := 0; pb.Next(); n++ {
			_, err := s.EditApp(b.Context(), app, func(dynomad.AppState) (dynomad.Edit, error) {
				return dynomad.Edit{Audits: []dynomad.Audit{newAudit("formation.update")}}, nil
			})
			if err != nil {
				b.Error(err)
			}
		}
		apps <- app
	})
}
