package dynomad

import (
	"regexp"
	"strings"
	"time"
)

// MaxAppName is the longest full name of an app, in bytes ("api-default"). Akkeris has the same limit.
const MaxAppName = 24

// DefaultSpace is the space that always exists and that apps go to when they name none.
const DefaultSpace = "default"

// Space is a group of apps.
type Space struct {
	ID             string
	Name           string // ^[a-z0-9][a-z0-9-]*$
	Description    string
	NomadNamespace string // namespace of its apps' jobs; "" is the daemon's own
	AppCount       int    // how many apps it holds; filled in when read
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// App is an app: the unit that is deployed, scaled and configured.
type App struct {
	ID             string
	Name           string // the full name and key: SimpleName + "-" + Space
	SimpleName     string // ^[a-z0-9]+$
	SpaceID        string
	Space          string // the space's name
	NomadNamespace string // the space's namespace; "" is the daemon's own
	Org            string // free text, as Akkeris clients send it
	Description    string
	Labels         string
	Maintenance    bool // every type runs at 0, quantities are kept
	AutoRelease    bool // a build is released as soon as it is made
	OwnerID        string
	OwnerEmail     string
	Image          string     // of the newest release that did not fail; "" before the first
	ReleasedAt     *time.Time // of the newest release; nil before the first
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

var (
	appNamePattern   = regexp.MustCompile(`^[a-z0-9]+$`)
	spaceNamePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	namespacePattern = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`) // Nomad's own rule for namespaces
)

// NewApp are the choices that a client makes for an app.
type NewApp struct {
	Name        string // folded to lower case
	Space       string // "" is DefaultSpace
	Org         string
	Description string
	Labels      string
}

// FullName gives the key that an app of these choices will have.
func (n NewApp) FullName() string { return n.Name + "-" + n.Space }

// Normalize folds the name and fills in the default space.
func (n NewApp) Normalize() NewApp {
	n.Name = strings.ToLower(strings.TrimSpace(n.Name))
	if n.Space == "" {
		n.Space = DefaultSpace
	}
	return n
}

// Validate checks a normalized NewApp.
func (n NewApp) Validate() error {
	if n.Name == "" {
		return Invalidf("name", "The app's name is missing.")
	}
	if !appNamePattern.MatchString(n.Name) {
		return Invalidf("name", "The app's name may only have the letters a to z and digits, no dashes.")
	}
	if !spaceNamePattern.MatchString(n.Space) {
		return Invalidf("space", "The space's name may only have the letters a to z, digits and, after the first, dashes.")
	}
	if len(n.FullName()) > MaxAppName {
		return Invalidf("name", "The app's name and space together (%s) must not be longer than %d characters.", n.FullName(), MaxAppName)
	}
	return validTexts(textField{"description", n.Description}, textField{"labels", n.Labels}, textField{"org", n.Org})
}

// NewSpace are the choices that a client makes for a space.
type NewSpace struct {
	Name           string
	Description    string
	NomadNamespace string
}

// Validate checks a NewSpace.
func (n NewSpace) Validate() error {
	if n.Name == "" {
		return Invalidf("name", "The space's name is missing.")
	}
	if !spaceNamePattern.MatchString(n.Name) {
		return Invalidf("name", "The space's name may only have the letters a to z, digits and, after the first, dashes.")
	}
	if len(n.Name) > MaxAppName-2 {
		return Invalidf("name", "The space's name must not be longer than %d characters: an app's name and space together may have %d.", MaxAppName-2, MaxAppName)
	}
	if n.NomadNamespace != "" && !namespacePattern.MatchString(n.NomadNamespace) {
		return Invalidf("nomad_namespace", "A Nomad namespace has only letters, digits and dashes, at most 128.")
	}
	return validTexts(textField{"description", n.Description})
}

// AppChange is what PATCH /apps/{app} asks for; nil leaves a field as it is.
type AppChange struct {
	Name        *string // accepted only if it is the name that the app has
	Maintenance *bool
	Description *string
	Labels      *string
}

// MaxText is the longest free text (description, labels, message …), in bytes.
const MaxText = 10 << 10

type textField struct{ name, value string }

// validTexts checks free texts: bounded, valid UTF-8 and without NUL, which SQLite would cut at.
func validTexts(fields ...textField) error {
	for _, f := range fields {
		if len(f.value) > MaxText {
			return Invalidf(f.name, "The field %s must not be longer than %d bytes.", f.name, MaxText)
		}
		if strings.ContainsRune(f.value, 0) || !validUTF8(f.value) {
			return Invalidf(f.name, "The field %s must be UTF-8 text without NUL.", f.name)
		}
	}
	return nil
}
