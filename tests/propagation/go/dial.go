package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	detour "detour.dev/sdk/go"
)

// dial calls a service of the mesh by gRPC, through the sidecar that http_proxy names, and prints who answered.
func dial(target string, words ...string) error {
	overrides, err := detour.Parse(words...)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithContextDialer(detour.DialSidecar),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	var answer []byte
	ctx := detour.With(context.Background(), overrides)
	if err := connection.Invoke(ctx, "/test.Echo/Unary", []byte("x"), &answer, grpc.ForceCodec(bytesCodec{})); err != nil {
		return err
	}
	fmt.Println(string(answer))
	return nil
}

// A bytesCodec sends bytes as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(value any) ([]byte, error) { return value.([]byte), nil }

func (bytesCodec) Unmarshal(content []byte, value any) error {
	*value.(*[]byte) = content
	return nil
}
