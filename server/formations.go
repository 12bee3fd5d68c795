package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad"
)

// dynoTypeAnswer is a dyno type, as Akkeris and Heroku show it.
type dynoTypeAnswer struct {
	App            named          `json:"app"`
	ID             string         `json:"id"`
	Type           string         `json:"type"`
	Command        *string        `json:"command"`  // null is the slug's or the image's own
	Quantity       int            `json:"quantity"` // how many are wanted
	Size           string         `json:"size"`     // name of its size
	DynoSize       named          `json:"dyno_size"`
	Port           *int           `json:"port"`                // that the app listens on; null but for web
	Healthcheck    *string        `json:"healthcheck"`         // path that must be answered with 2xx; null is whether the port accepts connections
	OneOff         bool           `json:"oneoff"`              // run by request only
	Schedule       *string        `json:"schedule"`            // five fields of cron, in UTC
	Options        *optionsAnswer `json:"options"`             // for one-off dynos; env is null for tokens that may not see config values
	AdditionalInfo string         `json:"additional_info"`     // that and why it is held at an earlier definition
	NextRuns       *[]string      `json:"next_runs,omitempty"` // when it runs next, three times; only of a type with a schedule
	LastRuns       *[]slotAnswer  `json:"last_runs,omitempty"` // what became of its last slots, newest first; only of a type with a schedule
	CreatedAt      string         `json:"created_at"`
	UpdatedAt      string         `json:"updated_at"`
}

// slotAnswer is a run that a schedule has made.
type slotAnswer struct {
	ID          string `json:"id"`
	ScheduledAt string `json:"scheduled_at"`
	State       string `json:"state"`
	ExitCode    *int   `json:"exit_code"`
}

// slotOf words a run of a schedule as far as the store knows it.
func slotOf(r dynomad.Run) slotAnswer {
	answer := slotAnswer{ID: r.ID, ScheduledAt: stamp(r.Scheduled), State: string(dynomad.StateWaiting)}
	switch {
	case r.Ended != nil:
		answer.State, answer.ExitCode = string(r.Ended.State), r.Ended.ExitCode
	case r.AllocID != "":
		answer.State = string(dynomad.StateRunning)
	}
	return answer
}

// withSchedule adds what a schedule has run and will.
func (s *Server) withSchedule(ctx context.Context, state dynomad.AppState, t dynomad.DynoType, answer dynoTypeAnswer) (dynoTypeAnswer, error) {
	if t.Schedule == nil {
		return answer, nil
	}
	last, err := s.platform.LastRuns(ctx, t)
	if err != nil {
		return answer, err
	}
	nextRuns, lastRuns := convert(state.NextRuns(t, s.cfg.Now()), stamp), convert(last, slotOf)
	answer.NextRuns, answer.LastRuns = &nextRuns, &lastRuns
	return answer, nil
}

// optionsAnswer are a type's options; {} for none. Env is null for tokens that may not see config values.
type optionsAnswer struct {
	options *dynomad.Options
	hidden  bool
}

// MarshalJSON words the options.
func (o *optionsAnswer) MarshalJSON() ([]byte, error) {
	answer := map[string]any{}
	if o.options != nil {
		answer["image"] = orNull(o.options.Image)
		answer["env"] = o.options.Env
		switch {
		case o.hidden:
			answer["env"] = nil
		case o.options.Env == nil:
			answer["env"] = map[string]string{}
		}
	}
	return json.Marshal(answer)
}

func dynoTypeOf(app dynomad.App, t dynomad.DynoType, l lens) dynoTypeAnswer {
	answer := dynoTypeAnswer{
		App: appRef(app), ID: t.ID, Type: t.Type, Command: l.Command(t.Command), Quantity: t.Quantity, Size: t.Size,
		DynoSize: sizeRef(t.Size), Healthcheck: t.Healthcheck, OneOff: t.OneOff, Schedule: t.Schedule,
		Options: &optionsAnswer{options: t.Options, hidden: !l.protected}, AdditionalInfo: t.Notice(),
		CreatedAt: stamp(t.CreatedAt), UpdatedAt: stamp(t.UpdatedAt),
	}
	if t.Port != 0 {
		answer.Port = &t.Port
	}
	return answer
}

// typeSpec reads what a request says of one dyno type.
func (s *Server) typeSpec(o *object) dynomad.TypeSpec {
	removeHealthcheck, remove := o.flag("removeHealthcheck"), o.flag("remove-healthcheck")
	return dynomad.TypeSpec{
		Type: o.text("type"), Quantity: o.quantity("quantity"), Size: s.sizeField(o), Port: o.integer("port"),
		Command: o.optionalText("command"), Healthcheck: o.optionalText("healthcheck"),
		RemoveCommand: o.flag("remove-command"), RemoveHealthcheck: removeHealthcheck || remove,
		OneOff: o.optionalFlag("oneoff"), Schedule: o.optionalText("schedule"),
		Options: field(o, "options", `an object, like {"env": {"NAME": "value"}, "image": "repository:tag"}`, asOptions),
	}
}

// sizeField reads the size: "size" by name, or Heroku's "dyno_size" by id or name.
func (s *Server) sizeField(o *object) dynomad.Optional[string] {
	size := o.optionalText("size")
	ref := o.child("dyno_size")
	if ref == nil {
		return size
	}
	key := ref.text("id")
	if key == "" {
		key = ref.text("name")
	}
	found, ok := s.findSize(key)
	if !ok || ref.err != nil {
		o.fail("dyno_size", "an object with the id or name of a size")
		return size
	}
	if size.HasValue() && size.Value != found.Name {
		o.fail("dyno_size", "the same size as the field size")
	}
	return dynomad.Some(found.Name)
}

func asOptions(raw json.RawMessage) (dynomad.Options, bool) {
	o, ok := asObject(raw)
	if !ok {
		return dynomad.Options{}, false
	}
	options := dynomad.Options{Env: o.env("env"), Image: o.text("image")}
	return options, o.err == nil
}

func (s *Server) listFormation(w http.ResponseWriter, r *http.Request) error {
	state, err := s.platform.Formation(r.Context(), appKey(r))
	return s.respondTypes(w, r, state, state.Types, err)
}

func (s *Server) respondTypes(w http.ResponseWriter, r *http.Request, state dynomad.AppState, types []dynomad.DynoType, err error) error {
	if err != nil {
		return err
	}
	l := lensOf(r)
	answers := make([]dynoTypeAnswer, len(types))
	for i, t := range types {
		if answers[i], err = s.withSchedule(r.Context(), state, t, dynoTypeOf(state.App, t, l)); err != nil {
			return err
		}
	}
	if r.Method == http.MethodPatch {
		return respond(w, http.StatusOK, answers)
	}
	return respondList(w, r, answers,
		attribute[dynoTypeAnswer]{name: "id", of: func(a dynoTypeAnswer) string { return a.ID }},
		attribute[dynoTypeAnswer]{name: "type", of: func(a dynoTypeAnswer) string { return a.Type }})
}

// respondType ends every handler whose answer is one dyno type.
func (s *Server) respondType(w http.ResponseWriter, r *http.Request, state dynomad.AppState, t dynomad.DynoType, err error) error {
	if err != nil {
		return err
	}
	answer, err := s.withSchedule(r.Context(), state, t, dynoTypeOf(state.App, t, lensOf(r)))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, answer)
}

func (s *Server) showType(w http.ResponseWriter, r *http.Request) error {
	state, t, err := s.platform.DynoType(r.Context(), appKey(r), mux.Vars(r)["type"])
	return s.respondType(w, r, state, t, err)
}

func (s *Server) createType(w http.ResponseWriter, r *http.Request) error {
	o, err := decode(r)
	if err != nil {
		return err
	}
	spec := s.typeSpec(o)
	if o.err != nil {
		return o.err
	}
	state, t, err := s.platform.CreateType(r.Context(), appKey(r), spec)
	return s.respondType(w, r, state, t, err)
}

func (s *Server) updateFormation(w http.ResponseWriter, r *http.Request) error {
	specs, err := s.batch(r)
	if err != nil {
		return err
	}
	state, types, err := s.platform.UpdateTypes(r.Context(), appKey(r), specs)
	return s.respondTypes(w, r, state, types, err)
}

// batch reads a change to several dyno types: Akkeris's bare array, or Heroku's object with "updates".
func (s *Server) batch(r *http.Request) ([]dynomad.TypeSpec, error) {
	const must = "a list of objects"
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 || (body[0] != '[' && body[0] != '{') {
		return nil, dynomad.Errorf(dynomad.Malformed, "The body must be a JSON array, or an object with the array updates.")
	}
	whole := &object{fields: map[string]json.RawMessage{"updates": body}}
	if body[0] == '{' {
		if whole, err = decodeObject(body); err != nil {
			return nil, err
		}
	}
	elements := field(whole, "updates", must, asType[[]json.RawMessage])
	if !elements.HasValue() {
		whole.fail("updates", must)
		return nil, whole.err
	}
	specs := make([]dynomad.TypeSpec, 0, len(elements.Value))
	for _, element := range elements.Value {
		o, ok := asObject(element)
		if !ok {
			whole.fail("updates", must)
			return nil, whole.err
		}
		specs = append(specs, s.typeSpec(o))
		if o.err != nil {
			return nil, o.err
		}
	}
	return specs, nil
}

func (s *Server) updateType(w http.ResponseWriter, r *http.Request) error {
	o, err := decodeOptional(r)
	if err != nil {
		return err
	}
	spec := s.typeSpec(o)
	if o.err != nil {
		return o.err
	}
	state, t, err := s.platform.UpdateType(r.Context(), appKey(r), mux.Vars(r)["type"], spec)
	return s.respondType(w, r, state, t, err)
}

func (s *Server) deleteType(w http.ResponseWriter, r *http.Request) error {
	state, t, err := s.platform.DeleteType(r.Context(), appKey(r), mux.Vars(r)["type"])
	return s.respondType(w, r, state, t, err)
}
