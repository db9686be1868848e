package a

import (
	"context"
	"testing"
)

func helper(ctx context.Context, t *testing.T) {
	_ = load(context.Background())
}
