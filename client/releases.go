package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Build is an image that can be released, and the slug that it is.
type Build struct {
	ID              string            `json:"id"`
	App             Named             `json:"app"`
	Number          int               `json:"number"`
	Image           string            `json:"image"`
	SourceBlob      SourceBlob        `json:"source_blob"`
	ProcessTypes    map[string]string `json:"process_types"`
	Buildpacks      []string          `json:"buildpacks"`
	Stack           string            `json:"stack"`
	Status          string            `json:"status"`
	OutputStreamURL string            `json:"output_stream_url"`
	Release         *OnlyID           `json:"release"` // nil if it was not released
	Slug            *OnlyID           `json:"slug"`
	User            User              `json:"user"`
	AdditionalInfo  string            `json:"additional_info"`
	CreatedAt       time.Time         `json:"created_at"`
	UpdatedAt       time.Time         `json:"updated_at"`
}

// SourceBlob is where a build came from.
type SourceBlob struct {
	URL      string  `json:"url"`
	Checksum *string `json:"checksum"`
	Version  *string `json:"version"`
	Commit   *string `json:"commit"`
	Branch   *string `json:"branch"`
	Repo     *string `json:"repo"`
	Author   *string `json:"author"`
	Message  *string `json:"message"`
}

// NewBuild is an image to deploy. Only URL is needed.
type NewBuild struct {
	URL          string            `json:"url"` // "registry.example/team/api:7", with a tag or a digest
	Checksum     string            `json:"checksum,omitempty"`
	Version      string            `json:"version,omitempty"`
	SHA          string            `json:"sha,omitempty"`
	Branch       string            `json:"branch,omitempty"`
	Repo         string            `json:"repo,omitempty"`
	Author       string            `json:"author,omitempty"`
	Message      string            `json:"message,omitempty"`
	ProcessTypes map[string]string `json:"process_types,omitempty"`
}

// BuildResult is a build's output.
type BuildResult struct {
	Build struct {
		ID              string `json:"id"`
		Status          string `json:"status"`
		OutputStreamURL string `json:"output_stream_url"`
	} `json:"build"`
	Lines []string `json:"lines"`
}

// CreateBuild makes a build of an image, and releases it unless the app's feature auto-release is off.
func (c *Client) CreateBuild(ctx context.Context, app string, build NewBuild) (Build, error) {
	path, err := pathOf("/apps/", app, "/builds")
	return ask[Build](ctx, c, http.MethodPost, path, build, err)
}

// Builds lists an app's builds, newest last.
func (c *Client) Builds(ctx context.Context, app string) ([]Build, error) {
	path, err := pathOf("/apps/", app, "/builds")
	return get[[]Build](ctx, c, path, err)
}

// Build gives one build.
func (c *Client) Build(ctx context.Context, app, build string) (Build, error) {
	path, err := pathOf("/apps/", app, "/builds/", build)
	return get[Build](ctx, c, path, err)
}

// Rebuild makes a new build like an old one.
func (c *Client) Rebuild(ctx context.Context, app, build string) (Build, error) {
	path, err := pathOf("/apps/", app, "/builds/", build)
	return ask[Build](ctx, c, http.MethodPut, path, nil, err)
}

// StopBuild would stop a build; the API refuses, since every build has ended.
func (c *Client) StopBuild(ctx context.Context, app, build string) error {
	path, err := pathOf("/apps/", app, "/builds/", build)
	if err != nil {
		return err
	}
	return c.send(ctx, request{method: http.MethodDelete, path: path}, nil)
}

// BuildResult gives a build's output.
func (c *Client) BuildResult(ctx context.Context, app, build string) (BuildResult, error) {
	path, err := pathOf("/apps/", app, "/builds/", build, "/result")
	return get[BuildResult](ctx, c, path, err)
}

// Slug gives the build that made a slug, whatever its app.
func (c *Client) Slug(ctx context.Context, slug string) (Build, error) {
	path, err := pathOf("/slugs/", slug)
	return get[Build](ctx, c, path, err)
}

// The states of a release.
const (
	ReleasePending   = "pending"   // its rollout has not ended
	ReleaseSucceeded = "succeeded" // its dynos ran, or there were none to run
	ReleaseFailed    = "failed"    // AdditionalInfo says why
)

// Release is a slug with config vars.
type Release struct {
	ID                  string    `json:"id"`
	Version             int       `json:"version"`
	Status              string    `json:"status"`
	State               string    `json:"state"`
	Current             bool      `json:"current"` // the newest that succeeded
	Description         string    `json:"description"`
	AdditionalInfo      string    `json:"additional_info"`
	App                 Named     `json:"app"`
	Slug                *OnlyID   `json:"slug"`
	User                User      `json:"user"`
	EligibleForRollback bool      `json:"eligible_for_rollback"`
	AddonPlanNames      []string  `json:"addon_plan_names"`
	Artifacts           []OnlyID  `json:"artifacts"`
	OutputStreamURL     *string   `json:"output_stream_url"`
	CreatedAt           time.Time `json:"created_at"`
	UpdatedAt           time.Time `json:"updated_at"`
}

// Statuses are the reports of outside checks on a release.
type Statuses struct {
	State    string   `json:"state"`
	Release  Release  `json:"release"`
	Statuses []OnlyID `json:"statuses"`
}

// NewRelease releases a slug, or rolls back to a release: exactly one of the two is needed.
type NewRelease struct {
	Slug        string `json:"slug,omitempty"`
	Release     string `json:"release,omitempty"` // id or version
	Description string `json:"description,omitempty"`
}

// CreateRelease releases a slug or rolls back.
func (c *Client) CreateRelease(ctx context.Context, app string, release NewRelease) (Release, error) {
	path, err := pathOf("/apps/", app, "/releases")
	return ask[Release](ctx, c, http.MethodPost, path, release, err)
}

// Releases lists an app's releases, newest last.
func (c *Client) Releases(ctx context.Context, app string) ([]Release, error) {
	path, err := pathOf("/apps/", app, "/releases")
	return get[[]Release](ctx, c, path, err)
}

// Release gives one release, by id or version ("7", "v7").
func (c *Client) Release(ctx context.Context, app, release string) (Release, error) {
	path, err := pathOf("/apps/", app, "/releases/", release)
	return get[Release](ctx, c, path, err)
}

// Statuses gives the reports on a release.
func (c *Client) Statuses(ctx context.Context, app, release string) (Statuses, error) {
	path, err := pathOf("/apps/", app, "/releases/", release, "/statuses")
	return get[Statuses](ctx, c, path, err)
}

// ReleaseConfigVars gives the config vars of a release.
func (c *Client) ReleaseConfigVars(ctx context.Context, app, release string) (map[string]string, error) {
	path, err := pathOf("/apps/", app, "/releases/", release, "/config-vars")
	return get[map[string]string](ctx, c, path, err)
}

// Tag is how a release is named to people: v7.
func (r Release) Tag() string { return "v" + strconv.Itoa(r.Version) }
