package dynomad

import (
	"net/url"
	"strings"
	"time"

	"github.com/distribution/reference"
)

// The states of a build. An image that exists already succeeds at once.
const (
	BuildSucceeded = "succeeded"
	BuildFailed    = "failed"
)

// Build is an image reference that can be released. Its slug has the same id.
type Build struct {
	ID           string
	AppID        string
	AppName      string
	Number       int    // 1, 2, 3 … in the app
	Image        string // as Docker is given it, with a tag or digest
	URL          string // as the client sent it
	Checksum     string
	Version      string
	SHA          string
	Branch       string
	Repo         string
	Author       string
	Message      string
	ProcessTypes map[string]string // type -> command
	Status       string
	UserID       string
	UserEmail    string
	ReleaseID    string // of the first release of it; "" if none
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// NewBuild is what a client sends to make a build.
type NewBuild struct {
	URL          string // docker://host/repo:tag or repo:tag
	Checksum     string
	Version      string
	SHA          string
	Branch       string
	Repo         string
	Author       string
	Message      string
	ProcessTypes map[string]string
}

// Validate checks a NewBuild and gives the image reference that its URL names.
func (n NewBuild) Validate() (image string, err error) {
	if image, err = ParseImage("url", n.URL); err != nil {
		return "", err
	}
	for name, command := range n.ProcessTypes {
		if err := ValidType("process_types", name); err != nil {
			return "", err
		}
		if _, err := SplitCommand("process_types", command); err != nil {
			return "", err
		}
	}
	return image, validTexts(textField{"checksum", n.Checksum}, textField{"version", n.Version}, textField{"sha", n.SHA},
		textField{"branch", n.Branch}, textField{"repo", n.Repo}, textField{"author", n.Author}, textField{"message", n.Message})
}

// ParseImage reads an image reference, "docker://host/repo:tag" or plain "repo:tag", and gives it as Docker is to be told.
// A reference needs a tag or a digest, and no user or password. field is what to call it in the error.
func ParseImage(field, s string) (string, error) {
	ref := s
	if scheme, rest, ok := strings.Cut(s, "://"); ok || strings.HasPrefix(s, "data:") {
		if !ok || !strings.EqualFold(scheme, "docker") {
			return "", Invalidf(field, "The %s must be an image, as docker://host/repository:tag or repository:tag; sources cannot be built yet.", field)
		}
		if strings.Contains(rest, "@") && hasUserinfo(rest) {
			return "", Invalidf(field, "The %s must not have a user or password: registries' credentials belong on the Nomad clients.", field)
		}
		ref = rest
	} else if hasUserinfo(s) {
		return "", Invalidf(field, "The %s must not have a user or password: registries' credentials belong on the Nomad clients.", field)
	}
	if ref == "" {
		return "", Invalidf(field, "The %s is missing: the image to run, as docker://host/repository:tag or repository:tag.", field)
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		// The library's text may repeat what was sent; it names no secret, since user and password are refused above.
		return "", Invalidf(field, "The %s %s is no image reference: %s.", field, quoted(s), clip(err.Error()))
	}
	if reference.IsNameOnly(named) {
		return "", Invalidf(field, "No tag for the image was given. Add one, such as %s:1.0, or a digest.", clip(ref))
	}
	return reference.FamiliarString(named), nil
}

// hasUserinfo reports whether a reference has "user:password@" before its first slash; a digest's @ comes after a name.
func hasUserinfo(ref string) bool {
	host, _, _ := strings.Cut(ref, "/")
	user, after, ok := strings.Cut(host, "@")
	if !ok {
		return false
	}
	// "name@sha256:…" without a slash is a digest.
	if reference.DigestRegexp.MatchString(after) && !strings.Contains(ref, "/") {
		_, err := url.Parse("//" + user)
		return err != nil
	}
	return true
}
