package main

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsimple"

	"github.com/dynomad/dynomad"
)

// sizesFile is the operator's own table of sizes:
//
//	size "small" {
//	  cpu        = 100  # MHz
//	  memory     = 256  # MiB reserved
//	  memory_max = 512  # MiB at which the dyno is ended; memory if left out
//	}
type sizesFile struct {
	Sizes []struct {
		Name        string `hcl:"name,label"`
		Description string `hcl:"description,optional"`
		CPU         int    `hcl:"cpu"`
		Memory      int    `hcl:"memory"`
		MemoryMax   int    `hcl:"memory_max,optional"`
		Price       int    `hcl:"price,optional"`
	} `hcl:"size,block"`
}

// loadSizes reads a file ending in .hcl or .json; "" gives the built-in sizes.
func loadSizes(path string) (dynomad.Sizes, error) {
	if path == "" {
		return dynomad.BuiltinSizes(), nil
	}
	var file sizesFile
	if err := hclsimple.DecodeFile(path, nil, &file); err != nil {
		return nil, fmt.Errorf("sizes: %w", err)
	}
	sizes := make(dynomad.Sizes, 0, len(file.Sizes))
	for _, s := range file.Sizes {
		size := dynomad.Size{
			Name: s.Name, Description: s.Description, CPU: s.CPU,
			MemoryMB: s.Memory, MemoryLimitMB: s.MemoryMax, Price: s.Price,
		}
		if s.MemoryMax == 0 {
			size.MemoryLimitMB = s.Memory
		}
		if err := size.Validate(); err != nil {
			return nil, fmt.Errorf("sizes: %s: %w", path, err)
		}
		if _, twice := sizes.Find(s.Name); twice {
			return nil, fmt.Errorf("sizes: %s: the size %s is there twice", path, s.Name)
		}
		sizes = append(sizes, size)
	}
	if len(sizes) == 0 {
		return nil, fmt.Errorf("sizes: %s has no size", path)
	}
	return sizes.Sorted(), nil
}
