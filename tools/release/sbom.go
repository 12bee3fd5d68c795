package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const sqliteModule = "github.com/mattn/go-sqlite3"

func (r *release) sbomFile() string { return "dynomad-" + r.version + ".cdx.json" }

// sbom lists what the program is made of, in CycloneDX: the modules that the linker recorded in it, Go's own library, and the
// C that it is linked with.
func (r *release) sbom(ctx context.Context) error {
	path := filepath.Join(r.out, r.programFile())
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	sum, err := sumOf(path)
	if err != nil {
		return err
	}
	components := []cdx.Component{library("std", strings.TrimPrefix(info.GoVersion, "go"), "pkg:golang/std@"+strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		components = append(components, library(dep.Path, dep.Version, "pkg:golang/"+dep.Path+"@"+dep.Version))
	}
	linked, err := r.linkedC(ctx)
	if err != nil {
		return err
	}
	return r.writeSBOM(sum, append(components, linked...))
}

func library(name, version, purl string) cdx.Component {
	return cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: purl}
}

// linkedC is what is in the program and in no go.mod.
func (r *release) linkedC(ctx context.Context) ([]cdx.Component, error) {
	dir, err := tool(ctx, r.root, []string{"GOFLAGS=-mod=readonly", "GOWORK=off"}, "go", "list", "-m", "-f", "{{.Dir}}", sqliteModule)
	if err != nil {
		return nil, err
	}
	header, err := os.ReadFile(filepath.Join(strings.TrimSpace(dir), "sqlite3-binding.h"))
	if err != nil {
		return nil, err
	}
	sqlite := regexp.MustCompile(`(?m)^#define SQLITE_VERSION +"([0-9.]+)"`).FindSubmatch(header)
	if sqlite == nil {
		return nil, errors.New("sqlite3-binding.h does not tell its version")
	}
	libc, err := tool(ctx, r.root, nil, "getconf", "GNU_LIBC_VERSION")
	if err != nil {
		return nil, err
	}
	_, glibc, ok := strings.Cut(strings.TrimSpace(libc), " ")
	if !ok {
		return nil, fmt.Errorf("the C library tells no version but %q", libc)
	}
	return []cdx.Component{
		library("sqlite", string(sqlite[1]), "pkg:generic/sqlite@"+string(sqlite[1])),
		library("glibc", glibc, "pkg:generic/glibc@"+glibc),
	}, nil
}

// writeSBOM depends on the program alone: its serial number is made of the program's sum.
func (r *release) writeSBOM(sum string, components []cdx.Component) error {
	purl := "pkg:golang/github.com/dynomad/dynomad@" + r.version
	refs := make([]string, len(components))
	for i, c := range components {
		refs[i] = c.BOMRef
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%s-%s-5%s-8%s-%s", sum[:8], sum[8:12], sum[13:16], sum[17:20], sum[20:32])
	bom.Metadata = &cdx.Metadata{
		Timestamp: r.when.Format(time.RFC3339),
		Component: &cdx.Component{
			BOMRef: purl, Type: cdx.ComponentTypeApplication, Name: "dynomad", Version: r.version, PackageURL: purl,
			Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}},
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		},
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: purl, Dependencies: &refs}}
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return err
	}
	r.made = append(r.made, r.sbomFile())
	return os.WriteFile(filepath.Join(r.out, r.sbomFile()), text.Bytes(), 0o644) //nolint:gosec // everybody may read it
}
