package dynomad

import "context"

type requestKey struct{}

// WithRequestID gives a context that carries the id of the request that something is done for.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestIDFrom gives the id of the request that something is done for; "" if it is for none.
func RequestIDFrom(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
