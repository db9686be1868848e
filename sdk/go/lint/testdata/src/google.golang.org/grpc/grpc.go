// Package grpc is as much of gRPC as is needed.
package grpc

import "context"

type (
	DialOption   interface{ dial() }
	ServerOption interface{ serve() }
	ClientConn   struct{}
	Server       struct{}
)

func NewClient(string, ...DialOption) (*ClientConn, error)                    { return nil, nil }
func DialContext(context.Context, string, ...DialOption) (*ClientConn, error) { return nil, nil }
func NewServer(...ServerOption) *Server                                       { return nil }
func WithStatsHandler(any) DialOption                                         { return nil }
func WithUnaryInterceptor(any) DialOption                                     { return nil }
func WithAuthority(string) DialOption                                         { return nil }
func StatsHandler(any) ServerOption                                           { return nil }
