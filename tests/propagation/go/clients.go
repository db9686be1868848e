package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	detour "detour.dev/sdk/go"
)

const connectionsMax = 64

// newClients returns what calls the sink, by the client's name.
func newClients() (map[string]call, error) {
	connection, err := grpc.NewClient(os.Getenv("SINK_GRPC"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
	)
	if err != nil {
		return nil, fmt.Errorf("SINK_GRPC: %w", err)
	}
	clients := map[string]call{"net-http": byHTTP(), "grpc-unary": byUnary(connection)}
	for name, description := range streams {
		clients[name] = byStream(connection, description)
	}
	return clients, nil
}

func byHTTP() call {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connectionsMax
	client := http.Client{Transport: wrapped(transport)}
	return func(ctx context.Context, number string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("SINK_HTTP")+"/"+number, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the sink answers %s", response.Status)
		}
		return nil
	}
}

func wrapped(transport http.RoundTripper) http.RoundTripper {
	if hasSDK() {
		transport = detour.Transport(transport)
	}
	if os.Getenv("TRACED") == "" {
		return transport
	}
	return otelhttp.NewTransport(transport)
}

func byUnary(connection *grpc.ClientConn) call {
	return func(ctx context.Context, number string) error {
		answer := new(wrapperspb.StringValue)
		err := connection.Invoke(ctx, "/"+relayName+"/Unary", wrapperspb.String(number), answer)
		return checked(answer, number, err)
	}
}

func byStream(connection *grpc.ClientConn, description *grpc.StreamDesc) call {
	return func(ctx context.Context, number string) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := connection.NewStream(ctx, description, "/"+relayName+"/"+description.StreamName)
		if err != nil {
			return err
		}
		if err := stream.SendMsg(wrapperspb.String(number)); err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		answer := new(wrapperspb.StringValue)
		return checked(answer, number, stream.RecvMsg(answer))
	}
}

func checked(answer *wrapperspb.StringValue, number string, err error) error {
	if err == nil && answer.GetValue() != number {
		return fmt.Errorf("the sink answers %q, expected %q", answer.GetValue(), number)
	}
	return err
}
