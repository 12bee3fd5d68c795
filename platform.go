package dynomad

import (
	"context"
	"strings"
	"time"
)

// AppState is everything the store holds of one app that a verb decides by, read in the transaction that it decides in.
type AppState struct {
	App      App
	Types    []DynoType // sorted by type
	Last     *Release   // the newest release, whatever became of it; nil before the first
	Wanted   *Release   // the newest release that did not fail, else the newest; what should run; nil before the first
	Build    *Build     // Wanted's slug; nil if it has none
	ConfigID string     // the app's config version now
	Config   ConfigVars // its config vars now, in the clear
	Builds   int        // how many builds were ever made
	Trial    *Rollout   // the rollout that runs and has yet to prove good; nil if none does
	Runs     []Run      // by number: those that are under way, and those that ended not long ago; without what is in their Env

	// Revision is of the state as it was read: two states with the same one are the same in all. 0 is a state of which nobody knows.
	Revision uint64
}

// Type finds a dyno type by name or id.
func (s AppState) Type(key string) (DynoType, bool) {
	for _, t := range s.Types {
		if t.Type == key || t.ID == key {
			return t, true
		}
	}
	return DynoType{}, false
}

// ProcessTypes gives the wanted slug's process types.
func (s AppState) ProcessTypes() map[string]string {
	if s.Build == nil {
		return nil
	}
	return s.Build.ProcessTypes
}

// Edit is what a verb decided to change of an app; the store commits it whole or not at all. A zero Edit changes nothing.
type Edit struct {
	App       *App       // the app's new row
	PutTypes  []DynoType // added (new id) or replaced
	DropTypes []string   // ids
	Forgive   []string   // ids of types whose failed definition is to be tried again
	Config    *Config    // a new config version, from now on the app's
	Build     *Build     // appended
	Release   *Release   // appended
	Stops     []DynoStop // dynos to be replaced; once more is fine
	Audits    []Audit
}

// Config is one immutable version of an app's config vars.
type Config struct {
	ID   string
	Vars ConfigVars
}

// Wanted is what should run for one app, as the loop sees it.
type Wanted struct {
	AppState
	Deleted bool         // the app was deleted: its jobs and variables are to go
	Removed bool         // … and were seen to be gone
	Release ConfigVars   // config vars of AppState.Wanted
	Configs []ConfigRef  // every version that may have a variable in Nomad
	Stops   []DynoStop   // dynos that are to be replaced
	Applied AppliedState // what the loop last did
}

// ConfigRef tells of one config version without its values.
type ConfigRef struct {
	ID      string
	Written bool // a variable was or may have been written
	Needed  bool // a release that is wanted, current or pending has it, or a run that is under way
}

// appStore keeps apps. Keys are an app's full name or id.
type appStore interface {
	CreateApp(ctx context.Context, app App, spaceName string, audit Audit) (App, error)
	DeleteApp(ctx context.Context, key string, check func(App) error, audit Audit) (AppState, error)
	Apps(ctx context.Context) ([]AppState, error)
	AppState(ctx context.Context, key string) (AppState, error)
	// EditApp runs decide on the app's state and commits what it decides, in one transaction. decide must be pure: it may
	// be run again.
	EditApp(ctx context.Context, key string, decide func(AppState) (Edit, error)) (AppState, error)
}

// ledger reads what is only ever appended to.
type ledger interface {
	Releases(ctx context.Context, appID string) ([]Release, error) // oldest first
	Release(ctx context.Context, appID, idOrVersion string) (Release, error)
	ReleaseID(ctx context.Context, appID string, version int) (string, error) // "" if there is none; mostly from memory
	ConfigVars(ctx context.Context, configID string) (ConfigVars, error)
	Builds(ctx context.Context, appID string) ([]Build, error) // oldest first
	Build(ctx context.Context, appID, id string) (Build, error)
	Slug(ctx context.Context, id string) (Build, error) // of any app, deleted ones too
	Audits(ctx context.Context, filter AuditFilter) ([]Audit, error)
}

// AuditFilter chooses audits; empty fields choose all.
type AuditFilter struct {
	AppID   string
	AppName string
	Space   string
	SpaceID string // of a token tied to a space
	After   int64  // those with a higher Seq
	Newest  int    // no more than so many, the newest; 0 is no bound
}

// dynoView knows what runs, from memory.
type dynoView interface {
	// Dynos gives the dynos of an app, given what is wanted.
	Dynos(state AppState, now time.Time) DynoPicture
	// DynosVersion gives the version that Dynos would give now, at the price of a look.
	DynosVersion(app App) uint64
	// StaleFor says for how long the view has not heard from the cluster; 0 while it does.
	StaleFor(now time.Time) time.Duration
}

// waker starts the loop for an app. The context says for which request: see RequestIDFrom.
type waker interface {
	// Expect says that a change to an app is about to be committed: the loop may come by before Wake is called, which has to follow
	// whatever becomes of the change.
	Expect(ctx context.Context, appID string)
	Wake(ctx context.Context, appID string)
}

// Platform has the verbs of the API. It checks requests against the rules, commits what is wanted and wakes the loop. It is
// safe for concurrent use.
type Platform struct {
	Rules  Rules
	Now    func() time.Time
	NewID  func() string // a fresh UUID
	apps   appStore
	ledger ledger
	spaces spaceStore
	tokens tokenStore
	extras extraStore
	runs   runStore
	view   dynoView
	loop   waker
	exec   executor
	logs   logHub

	sessions *sessions
}

// Store is all that Platform needs kept; package store has it.
type Store interface {
	appStore
	ledger
	spaceStore
	tokenStore
	extraStore
	runStore
}

// Parts are what a Platform works with.
type Parts struct {
	Store Store
	View  dynoView
	Loop  waker
	Exec  executor
	Logs  logHub
	Now   func() time.Time
	NewID func() string
}

// NewPlatform makes a Platform.
func NewPlatform(rules Rules, parts Parts) *Platform {
	store := parts.Store
	return &Platform{
		Rules: rules, Now: parts.Now, NewID: parts.NewID,
		apps: store, ledger: store, spaces: store, tokens: store, extras: store, runs: store,
		view: parts.View, loop: parts.Loop, exec: parts.Exec, logs: parts.Logs,
		sessions: newSessions(parts.Now()),
	}
}

// audit starts an audit line by the context's principal.
func (p *Platform) audit(ctx context.Context, action, details string) Audit {
	who := PrincipalFrom(ctx)
	return Audit{
		ID: p.NewID(), Action: action, Details: details,
		UserID: who.TokenID, UserEmail: who.Email, CreatedAt: p.Now(),
	}
}

// appMissing is the answer for an app that does not exist or that the token must not know of.
func appMissing(key string) error {
	return Errorf(NotFound, "The app %s does not exist.", clip(key))
}

// edit changes an app that the principal may see, then wakes the loop.
func (p *Platform) edit(ctx context.Context, key string, decide func(AppState) (Edit, error)) (AppState, error) {
	var change announced
	after, err := p.apps.EditApp(ctx, key, func(s AppState) (Edit, error) {
		if !PrincipalFrom(ctx).Sees(s.App.ID, s.App.SpaceID) {
			return Edit{}, appMissing(key)
		}
		edit, err := decide(s)
		if err == nil {
			change = p.announce(ctx, s.App.ID)
		}
		return edit, err
	})
	p.wakeAfter(ctx, change)
	if err != nil {
		return AppState{}, err
	}
	return after, nil
}

// announced is the id of the app that a change was announced for; "" is none.
type announced string

// announce tells the loop of a change that is about to be committed. wakeAfter follows.
func (p *Platform) announce(ctx context.Context, appID string) announced {
	p.loop.Expect(ctx, appID)
	return announced(appID)
}

// wakeAfter wakes the loop for a change that was announced, also when it failed: of a commit that failed it may not be known.
func (p *Platform) wakeAfter(ctx context.Context, change announced) {
	if change != "" {
		p.loop.Wake(ctx, string(change))
	}
}

// state reads an app that the principal may see.
func (p *Platform) state(ctx context.Context, key string) (AppState, error) {
	s, err := p.apps.AppState(ctx, key)
	if err != nil {
		return AppState{}, err
	}
	if !PrincipalFrom(ctx).Sees(s.App.ID, s.App.SpaceID) {
		return AppState{}, appMissing(key)
	}
	return s, nil
}

// clip keeps what a client sent short enough for a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
