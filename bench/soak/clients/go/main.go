// One client in Go, as client.py: `client http|grpc CONCURRENCY`, with net/http, without cookies, or with grpc-go.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type request struct {
	ID      int               `json:"id"`
	Port    int               `json:"port"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Proxied bool              `json:"proxied"`
}

type answer struct {
	ID     int    `json:"id"`
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
	Error  string `json:"error,omitempty"`
}

type proxyKey struct{}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
	MaxIdleConnsPerHost: 64,
	Proxy: func(sent *http.Request) (*url.URL, error) {
		proxy, _ := sent.Context().Value(proxyKey{}).(string)
		if proxy == "" {
			return nil, nil
		}
		return url.Parse(proxy)
	},
}}

func send(one request) answer {
	address := fmt.Sprintf("http://127.0.0.1:%d", one.Port)
	ctx, target := context.Background(), address+one.URL
	if one.Proxied {
		ctx, target = context.WithValue(ctx, proxyKey{}, address), one.URL
	}
	made, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return answer{ID: one.ID, Error: err.Error()}
	}
	for name, value := range one.Headers {
		made.Header.Set(name, value)
	}
	if host := one.Headers["host"]; host != "" {
		made.Host = host
	}
	got, err := client.Do(made)
	if err == nil {
		defer got.Body.Close()
		var body []byte
		if body, err = io.ReadAll(got.Body); err == nil {
			return answer{ID: one.ID, Status: got.StatusCode, Body: string(body)}
		}
	}
	if strings.Contains(err.Error(), "connection refused") {
		return answer{ID: one.ID, Error: "refused"}
	}
	return answer{ID: one.ID, Error: err.Error()}
}

func main() {
	send := map[string]func(request) answer{"http": send, "grpc": call}[os.Args[1]]
	concurrency, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	requests := make(chan request)
	var writing sync.Mutex
	var working sync.WaitGroup
	out := json.NewEncoder(os.Stdout)
	for range concurrency {
		working.Add(1)
		go func() {
			defer working.Done()
			for one := range requests {
				done := send(one)
				writing.Lock()
				_ = out.Encode(done)
				writing.Unlock()
			}
		}()
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var one request
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		requests <- one
	}
	close(requests)
	working.Wait()
}
