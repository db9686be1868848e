package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	detour "detour.dev/sdk/go"
)

func serveHTTP(relay *relay) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("GET /{clients}/{number}", func(w http.ResponseWriter, r *http.Request) {
		clients, number := r.PathValue("clients"), r.PathValue("number")
		if relay.serveLate(w, r, clients, number) {
			return
		}
		if err := relay.request(r.Context(), clients, number); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	var handler http.Handler = mux
	if os.Getenv("TRACED") != "" {
		handler = otelhttp.NewHandler(mux, "relay")
	}
	if hasSDK() {
		handler = detour.Handler(handler)
	}
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler)
}

func serveGRPC(relay *relay) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("GRPC_PORT"))
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	server.RegisterService(&service, &relayServer{relay})
	return server.Serve(listener)
}

type relayServer struct {
	relay *relay
}

// handle calls on for one message, whose value is clients/number.
func (s *relayServer) handle(ctx context.Context, message *wrapperspb.StringValue) error {
	clients, number, _ := strings.Cut(message.GetValue(), "/")
	way, behind, _ := strings.Cut(clients, via)
	switch way {
	case "defer":
		defer s.relay.called(ctx, behind+"/"+number)
		return nil
	case "outliving":
		s.relay.outlive(ctx, behind, number)
		return nil
	}
	return s.relay.request(ctx, clients, number)
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
