package main

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

const (
	settingsPath  = "/etc/dynomad/dynomad.env"
	documentsPath = "/usr/share/doc/dynomad"
	description   = "platform API of Heroku and Akkeris on a Nomad and Consul cluster\n" +
		"A daemon that runs apps as ordinary Nomad jobs: formations, dynos, config\n" +
		"vars, releases and rollbacks, health-checked rollouts and logs; and the\n" +
		"commands that use its API."
)

// debian makes the package. Its files are all of the stage, and those of the folder package.
func (r *release) debian(context.Context) error {
	if err := r.fillStage(); err != nil {
		return err
	}
	contents, err := r.contents()
	if err != nil {
		return err
	}
	version := debianVersion(r.version, r.when)
	scripts := filepath.Join(r.root, "tools/release/package")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "dynomad", Arch: "amd64", Platform: "linux", Version: version, VersionSchema: "none", DisableGlobbing: true,
		Section: "admin", Priority: "optional", Maintainer: "The Dynomad authors <dynomad@dynomad.local>",
		Description: description, Homepage: "https://github.com/dynomad/dynomad", License: "Apache-2.0", MTime: r.when,
		Overridables: nfpm.Overridables{
			Depends:    []string{"passwd"}, // for useradd
			Recommends: []string{"ca-certificates"},
			Contents:   contents,
			Umask:      0o022,
			Scripts: nfpm.Scripts{
				PostInstall: filepath.Join(scripts, "postinst"),
				PreRemove:   filepath.Join(scripts, "prerm"),
				PostRemove:  filepath.Join(scripts, "postrm"),
			},
			Deb: nfpm.Deb{Compression: "xz"},
		},
	})
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	file, err := r.create("dynomad_" + version + "_amd64.deb")
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // closed below, too
	if err := deb.Default.Package(info, file); err != nil {
		return err
	}
	return file.Close()
}

// fillStage puts what is not built beside what is.
func (r *release) fillStage() error {
	own := filepath.Join(r.root, "tools/release/package")
	for _, f := range []struct {
		from, to string
		mode     fs.FileMode
	}{
		{filepath.Join(own, "dynomad.service"), "/usr/lib/systemd/system/dynomad.service", 0o644},
		{filepath.Join(own, "dynomad.env"), settingsPath, 0o640},
		{filepath.Join(own, "copyright"), documentsPath + "/copyright", 0o644},
		{filepath.Join(r.root, "README.md"), documentsPath + "/README.md", 0o644},
		{filepath.Join(r.root, "CHANGELOG.md"), documentsPath + "/CHANGELOG.md", 0o644},
		{filepath.Join(r.out, r.sbomFile()), documentsPath + "/sbom.cdx.json", 0o644},
	} {
		if err := r.copyIn(f.from, f.to, f.mode); err != nil {
			return err
		}
	}
	return r.copyDocuments()
}

// copyDocuments takes docs along, policies and the job file too.
func (r *release) copyDocuments() error {
	docs := filepath.Join(r.root, "docs")
	return filepath.WalkDir(docs, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(docs, path)
		if err != nil {
			return err
		}
		return r.copyIn(path, filepath.Join(documentsPath, "docs", name), 0o644)
	})
}

// contents lists the stage's files in the order of their names. The settings are the administrator's: an upgrade asks before it
// changes them, and the group may read them once postinst has made it.
func (r *release) contents() (files.Contents, error) {
	var list files.Contents
	err := filepath.WalkDir(r.stage, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(r.stage, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content := &files.Content{
			Source: path, Destination: "/" + name, Type: files.TypeFile,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: info.Mode().Perm(), MTime: r.when},
		}
		if content.Destination == settingsPath {
			content.Type = files.TypeConfig
		}
		list = append(list, content)
		return nil
	})
	return list, err
}
