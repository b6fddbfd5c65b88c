package main

import (
	"context"
	"sync"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
)

// buildkitPulls runs BuildKit's own translation of a Dockerfile, which requests the configuration of each image that the build needs.
func buildkitPulls(q question) ([]string, error) {
	seen := &recorder{}
	opt := dockerfile2llb.ConvertOpt{MetaResolver: seen}
	opt.Config = dockerui.Config{BuildArgs: q.Args}
	_, err := dockerfile2llb.Dockerfile2LLB(context.Background(), []byte(q.Dockerfile), opt)
	return seen.images, err
}

type recorder struct {
	lock   sync.Mutex
	images []string
}

func (r *recorder) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.images = append(r.images, ref)
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}`), nil
}
