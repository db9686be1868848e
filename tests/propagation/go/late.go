package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"
)

// long is when a request is over, also on a busy machine.
const long = 2 * time.Second

// serveLate calls on for a request in what comes behind its answer: "lazy body > net-http" and its likes. It says
// whether that was asked for.
func (r *relay) serveLate(w http.ResponseWriter, request *http.Request, clients, number string) bool {
	way, behind, _ := strings.Cut(clients, via)
	call := func(ctx context.Context) { r.called(ctx, behind+"/"+number) }
	switch way {
	case "lazy body":
		_, _ = io.Copy(w, lazyBody(func() { call(request.Context()) }))
	case "defer":
		defer call(request.Context())
		fmt.Fprintln(w, "ok")
	case "outliving":
		r.outlive(request.Context(), behind, number)
	default:
		return false
	}
	return true
}

// lazyBody returns a body that calls on while it is read.
func lazyBody(call func()) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		fmt.Fprintln(writer, "before")
		call()
		writer.Close()
	}()
	return reader
}

// outlive starts work that calls on when the request is long over.
func (r *relay) outlive(ctx context.Context, clients, number string) {
	ctx = context.WithoutCancel(ctx)
	names := strings.Split(clients, ",")
	for place, name := range names {
		own := ownNumber(number, place, len(names))
		if name == "AfterFunc" {
			time.AfterFunc(long, func() { r.called(ctx, "net-http/"+own) })
			continue
		}
		go func() {
			time.Sleep(long)
			r.called(ctx, name+"/"+own)
		}()
	}
}

func (r *relay) called(ctx context.Context, errand string) {
	if err := r.errand(ctx, errand); err != nil {
		log.Print(err)
	}
}
