package server

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// logSessionLife is how long the URL of a log session is good to connect.
const logSessionLife = 5 * time.Minute

// logSession is what the URL of a log session leads to, for the principal who asked for it.
type logSession struct {
	appID   string
	who     dynomad.Principal
	options dynomad.LogOptions
}

// logSessionAnswer is a log session.
type logSessionAnswer struct {
	ID        string `json:"id"`
	URL       string `json:"logplex_url"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

func (s *Server) createLogSession(w http.ResponseWriter, r *http.Request) error {
	o, err := decodeOptional(r)
	if err != nil {
		return err
	}
	options := dynomad.LogOptions{Lines: dynomad.DefaultLogLines, Tail: o.flag("tail")}
	if lines := o.integer("lines"); lines.HasValue() {
		options.Lines = lines.Value
	}
	options.Source, options.Type, options.Dyno = o.text("source"), o.text("type"), cmp.Or(o.text("dyno"), o.text("dyno_name"))
	if o.err != nil {
		return o.err
	}
	app, err := s.platform.LogSession(r.Context(), appKey(r), options)
	if err != nil {
		return err
	}
	secret, err := s.logSessions.issue(logSession{appID: app.ID, who: dynomad.PrincipalFrom(r.Context()), options: options})
	if err != nil {
		return err
	}
	now := stamp(s.cfg.Now())
	return respond(w, http.StatusCreated, logSessionAnswer{
		ID: s.cfg.NewID(), URL: s.cfg.ExternalURL + "/log-sessions/" + url.PathEscape(secret), CreatedAt: now, UpdatedAt: now,
	})
}

// readLogSession gives the lines of a log session. Heroku's client, when it is told of no such session, says that it has expired.
func (s *Server) readLogSession(w http.ResponseWriter, r *http.Request) error {
	missing := dynomad.Errorf(dynomad.NotFound, "The log session does not exist or has expired.")
	session, ok := s.logSessions.look(mux.Vars(r)["session"])
	if !ok {
		return missing
	}
	ctx := dynomad.WithPrincipal(r.Context(), session.who)
	err := s.platform.MayReadLogs(ctx, session.appID)
	if kind := dynomad.KindOf(err); kind == dynomad.NotFound || kind == dynomad.Unauthenticated {
		return missing
	}
	if err != nil {
		return err
	}
	return s.streamLogs(w, r.WithContext(ctx), session.appID, session.options)
}

func (s *Server) readLogs(w http.ResponseWriter, r *http.Request) error {
	options, err := logOptionsOf(r.URL.Query())
	if err != nil {
		return err
	}
	return s.streamLogs(w, r, appKey(r), options)
}

// logOptionsOf reads options from a query.
func logOptionsOf(query url.Values) (dynomad.LogOptions, error) {
	o := dynomad.LogOptions{Lines: dynomad.DefaultLogLines}
	o.Source, o.Type, o.Dyno = query.Get("source"), query.Get("type"), query.Get("dyno")
	var err error
	if lines := query.Get("lines"); lines != "" {
		if o.Lines, err = strconv.Atoi(lines); err != nil || !integerPattern.MatchString(lines) {
			return o, dynomad.Invalidf("lines", "The lines must be a whole number.")
		}
	}
	if query.Has("tail") {
		if o.Tail, err = strconv.ParseBool(cmp.Or(query.Get("tail"), "1")); err != nil {
			return o, dynomad.Invalidf("tail", "The tail must be 1 or 0.")
		}
	}
	return o, nil
}
