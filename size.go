package dynomad

import (
	"fmt"
	"sort"
	"strings"
)

// Size is what a dyno may use. Requests fill nodes (Nomad's memory), limits end the dyno when passed (memory_max).
type Size struct {
	Name          string
	Description   string
	CPU           int // MHz, Nomad's cpu: a share, not a cap
	MemoryMB      int // MiB reserved on the node
	MemoryLimitMB int // MiB at which the dyno is killed; at least MemoryMB
	Price         int // dollars a month as Akkeris listed it; information only
}

// Validate checks a size of the operator's file.
func (s Size) Validate() error {
	switch {
	case !appNamePattern.MatchString(strings.ReplaceAll(s.Name, "-", "")):
		return Invalidf("name", "the size %q must be named with a-z, 0-9 and dashes", s.Name)
	case s.CPU < 1:
		return Invalidf("cpu", "the size %s needs a cpu of at least 1 MHz", s.Name)
	case s.MemoryMB < 10:
		return Invalidf("memory", "the size %s needs at least 10 MiB of memory, Nomad's smallest", s.Name)
	case s.MemoryLimitMB < s.MemoryMB:
		return Invalidf("memory_max", "the size %s has a memory limit below its request", s.Name)
	}
	return nil
}

// Sizes is the table of sizes, in the order that GET /sizes shows: by memory, then name.
type Sizes []Size

// BuiltinSizes gives the sizes of Akkeris: gp1 to gp4 and mp1, each also with "-prod", where request and limit are equal
// (source: the plans that region-api creates). CPU grows with memory, so that memory is what fills a node.
func BuiltinSizes() Sizes {
	base := []Size{
		{Name: "gp1", CPU: 50, MemoryMB: 256, MemoryLimitMB: 256, Price: 10},
		{Name: "gp2", CPU: 100, MemoryMB: 256, MemoryLimitMB: 512, Price: 20},
		{Name: "gp3", CPU: 200, MemoryMB: 768, MemoryLimitMB: 1024, Price: 30},
		{Name: "gp4", CPU: 300, MemoryMB: 1024, MemoryLimitMB: 1536, Price: 40},
		{Name: "mp1", CPU: 400, MemoryMB: 1536, MemoryLimitMB: 2048, Price: 50},
	}
	sizes := make(Sizes, 0, 2*len(base))
	for _, s := range base {
		s.Description = fmt.Sprintf("%d MiB reserved, at most %d MiB", s.MemoryMB, s.MemoryLimitMB)
		prod := s
		prod.Name, prod.MemoryMB, prod.Price = s.Name+"-prod", s.MemoryLimitMB, s.Price+5
		prod.Description = fmt.Sprintf("%d MiB reserved and at most, for production", prod.MemoryMB)
		sizes = append(sizes, s, prod)
	}
	return sizes.Sorted()
}

// Sorted gives the sizes by memory limit, request and name.
func (s Sizes) Sorted() Sizes {
	sorted := append(Sizes(nil), s...)
	sort.Slice(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		if a.MemoryLimitMB != b.MemoryLimitMB {
			return a.MemoryLimitMB < b.MemoryLimitMB
		}
		if a.MemoryMB != b.MemoryMB {
			return a.MemoryMB < b.MemoryMB
		}
		return a.Name < b.Name
	})
	return sorted
}

// Find gives the size of a name.
func (s Sizes) Find(name string) (Size, bool) {
	for _, size := range s {
		if size.Name == name {
			return size, true
		}
	}
	return Size{}, false
}

// Names gives the names in order, for error texts.
func (s Sizes) Names() []string {
	names := make([]string, len(s))
	for i, size := range s {
		names[i] = size.Name
	}
	return names
}
