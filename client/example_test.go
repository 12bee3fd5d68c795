package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/dynomad/dynomad/client"
)

// Deploy an image, and scale it.
func Example() {
	ctx := context.Background()
	c, err := client.New(client.Config{URL: os.Getenv("DYNOMAD_URL"), Token: os.Getenv("DYNOMAD_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	build, err := c.CreateBuild(ctx, "api-default", client.NewBuild{URL: "registry.example/team/api:7"})
	var refused *client.Error
	switch {
	case errors.As(err, &refused):
		log.Fatalf("%s (%s, field %q, request %s)", refused.Message, refused.ID, refused.Field, refused.RequestID)
	case err != nil:
		log.Fatal(err) // the daemon cannot be reached
	}
	if _, err := c.UpdateTypes(ctx, "api-default", []client.TypeSpec{{Type: "web", Quantity: "+1"}}); err != nil {
		log.Fatal(err)
	}
	release, err := c.Release(ctx, "api-default", build.Release.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(release.Tag(), release.Status) // "pending" until its dynos are healthy
}
