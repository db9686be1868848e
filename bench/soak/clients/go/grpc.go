package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// raw has messages as bytes, as greeter does.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

var (
	_        encoding.CodecV2 = raw{}
	channels sync.Map
)

func channel(port int) (*grpc.ClientConn, error) {
	if found, ok := channels.Load(port); ok {
		return found.(*grpc.ClientConn), nil
	}
	made, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port), grpc.WithNoProxy(),
		grpc.WithAuthority("greeter"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	kept, _ := channels.LoadOrStore(port, made)
	return kept.(*grpc.ClientConn), nil
}

// call calls the service greeter, with the baggage of a request to users.
func call(one request) answer {
	there, err := channel(one.Port)
	if err != nil {
		return answer{ID: one.ID, Error: err.Error()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if baggage := one.Headers["baggage"]; baggage != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "baggage", strings.ReplaceAll(baggage, "route.users", "route.greeter"))
	}
	sent, got := []byte{}, []byte{}
	err = there.Invoke(ctx, "/test.Echo/Unary", &sent, &got, grpc.ForceCodecV2(raw{}))
	switch {
	case err == nil:
		name, _, _ := strings.Cut(string(got), ":")
		return answer{ID: one.ID, Status: 200, Body: name}
	case strings.Contains(err.Error(), "connection refused"):
		return answer{ID: one.ID, Error: "refused"}
	case status.Code(err) == codes.Unavailable:
		return answer{ID: one.ID, Status: 503, Body: err.Error()}
	}
	return answer{ID: one.ID, Status: 500, Body: err.Error()}
}
