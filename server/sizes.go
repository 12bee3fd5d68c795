package server

import (
	"fmt"
	"math"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// sizeAnswer is a size as Akkeris shows it.
type sizeAnswer struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Resources   sizeResources `json:"resources"`
	Price       int           `json:"price"`
	Stacks      []string      `json:"stacks"`
	Deprecated  bool          `json:"deprecated"`
	Type        *string       `json:"type"`
}

type sizeResources struct {
	Requests sizeRequests `json:"requests"`
	Limits   sizeLimits   `json:"limits"`
}

type sizeRequests struct {
	Memory string `json:"memory"`
	CPU    string `json:"cpu"`
}

type sizeLimits struct {
	Memory string `json:"memory"`
}

// dynoSizeAnswer is the same size as Heroku shows it.
type dynoSizeAnswer struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Memory           float64   `json:"memory"` // GB
	Compute          int       `json:"compute"`
	Cost             *sizeCost `json:"cost"`
	Dedicated        bool      `json:"dedicated"`
	DynoUnits        int       `json:"dyno_units"`
	PreciseDynoUnits float64   `json:"precise_dyno_units"`
	PrivateSpaceOnly bool      `json:"private_space_only"`
	Architecture     string    `json:"architecture"`
	Generation       named     `json:"generation"`
}

type sizeCost struct {
	Cents int    `json:"cents"`
	Unit  string `json:"unit"`
}

func (s *Server) sizeOf(size dynomad.Size) sizeAnswer {
	return sizeAnswer{
		ID: sizeRef(size.Name).ID, Name: size.Name, Description: size.Description, Price: size.Price,
		Resources: sizeResources{
			Requests: sizeRequests{Memory: mebibytes(size.MemoryMB), CPU: fmt.Sprintf("%dMHz", size.CPU)},
			Limits:   sizeLimits{Memory: mebibytes(size.MemoryLimitMB)},
		},
		Stacks: []string{stackName},
	}
}

func mebibytes(n int) string { return fmt.Sprintf("%dMi", n) }

func dynoSizeOf(size dynomad.Size) dynoSizeAnswer {
	return dynoSizeAnswer{
		ID: sizeRef(size.Name).ID, Name: size.Name, Memory: math.Round(float64(size.MemoryLimitMB)/1024*1000) / 1000,
		Compute: 1, Cost: &sizeCost{Cents: 100 * size.Price, Unit: "month"}, DynoUnits: 1, PreciseDynoUnits: 1,
		Architecture: "x86_64", Generation: derived("generation", "nomad"),
	}
}

// sizeRef refers to a size. Sizes come from a file and are known by name, so that the id is made of it.
func sizeRef(name string) named { return derived("size", name) }

// findSize finds a size by name or id.
func (s *Server) findSize(key string) (dynomad.Size, bool) {
	for _, size := range s.platform.Rules.Sizes {
		if size.Name == key || sizeRef(size.Name).ID == key {
			return size, true
		}
	}
	return dynomad.Size{}, false
}

func (s *Server) listSizes(w http.ResponseWriter, r *http.Request) error {
	return respondList(w, r, convert(s.platform.Rules.Sizes, s.sizeOf),
		attribute[sizeAnswer]{name: "id", of: func(a sizeAnswer) string { return a.ID }},
		attribute[sizeAnswer]{name: "name", of: func(a sizeAnswer) string { return a.Name }})
}

func (s *Server) listDynoSizes(w http.ResponseWriter, r *http.Request) error {
	return respondList(w, r, convert(s.platform.Rules.Sizes, dynoSizeOf),
		attribute[dynoSizeAnswer]{name: "id", of: func(a dynoSizeAnswer) string { return a.ID }},
		attribute[dynoSizeAnswer]{name: "name", of: func(a dynoSizeAnswer) string { return a.Name }})
}

func (s *Server) showDynoSize(w http.ResponseWriter, r *http.Request) error {
	key := mux.Vars(r)["size"]
	size, ok := s.findSize(key)
	if !ok {
		return dynomad.Errorf(dynomad.NotFound, "The size %s does not exist.", clip(key))
	}
	return respond(w, http.StatusOK, dynoSizeOf(size))
}
