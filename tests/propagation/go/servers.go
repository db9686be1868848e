package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const interleaving = 3 * time.Millisecond

// callOn waits a moment, so that requests interleave, and calls on.
func callOn(ctx context.Context, clients map[string]call, client, number string) error {
	call, ok := clients[client]
	if !ok {
		return fmt.Errorf("%q is no client here", client)
	}
	time.Sleep(rand.N(interleaving))
	return call(ctx, number)
}

func serveHTTP(clients map[string]call) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("GET /{client}/{number}", func(w http.ResponseWriter, r *http.Request) {
		if err := callOn(r.Context(), clients, r.PathValue("client"), r.PathValue("number")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), otelhttp.NewHandler(mux, "relay"))
}

func serveGRPC(clients map[string]call) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("GRPC_PORT"))
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	server.RegisterService(&relay, &relayServer{clients})
	return server.Serve(listener)
}

type relayServer struct {
	clients map[string]call
}

// handle calls on for one message, whose value is client/number.
func (s *relayServer) handle(ctx context.Context, message *wrapperspb.StringValue) error {
	client, number, _ := strings.Cut(message.GetValue(), "/")
	return callOn(ctx, s.clients, client, number)
}

func (s *relayServer) unary(ctx context.Context, message *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	return message, s.handle(ctx, message)
}

// stream handles a message, and answers with it: all streaming methods have one each way.
func (s *relayServer) stream(stream grpc.ServerStream) error {
	message := new(wrapperspb.StringValue)
	if err := stream.RecvMsg(message); err != nil {
		return err
	}
	if err := s.handle(stream.Context(), message); err != nil {
		return err
	}
	return stream.SendMsg(message)
}
