package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The gRPC service detour.test.Relay: all four kinds of method, each of google.protobuf.StringValue.

const relayName = "detour.test.Relay"

var streams = map[string]*grpc.StreamDesc{
	"grpc-client-stream": stream("ClientStream", true, false),
	"grpc-server-stream": stream("ServerStream", false, true),
	"grpc-bidi-stream":   stream("BidiStream", true, true),
}

var service = grpc.ServiceDesc{
	ServiceName: relayName,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: handleUnary}},
	Streams:     []grpc.StreamDesc{*streams["grpc-client-stream"], *streams["grpc-server-stream"], *streams["grpc-bidi-stream"]},
}

func stream(name string, fromClient, fromServer bool) *grpc.StreamDesc {
	return &grpc.StreamDesc{StreamName: name, Handler: handleStream, ClientStreams: fromClient, ServerStreams: fromServer}
}

func handleUnary(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	message := new(wrapperspb.StringValue)
	if err := decode(message); err != nil {
		return nil, err
	}
	return server.(*relayServer).unary(ctx, message)
}

func handleStream(server any, stream grpc.ServerStream) error {
	return server.(*relayServer).stream(stream)
}
