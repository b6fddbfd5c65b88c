// Oracle for inline Dockerfiles: determines which images real tools would pull for a Dockerfile, without a network.
//
// Reads one JSON object per line, {"dockerfile": text, "args": {name: value}, "env": {name: value}}, and answers with one per line,
// {"pulls": [{"image", "tool"}], "refusals": {tool: error}}. README.md describes the tools.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
)

type question struct {
	Dockerfile string            `json:"dockerfile"`
	Args       map[string]string `json:"args"`
	Env        map[string]string `json:"env"`
}

type pull struct {
	Image string `json:"image"`
	Tool  string `json:"tool"`
}

type answer struct {
	Pulls    []pull            `json:"pulls"`
	Refusals map[string]string `json:"refusals"`
}

type tool struct {
	name string
	// Returns the images that are pulled before the tool finishes or fails.
	run func(question) ([]string, error)
}

var tools = []tool{
	{"buildkit", buildkitPulls},
	{"buildah", func(q question) ([]string, error) { return buildahPulls(q.Dockerfile, q.Args, true) }},
	{"buildah, every stage", func(q question) ([]string, error) { return buildahPulls(q.Dockerfile, q.Args, false) }},
	{"openshift, first look", func(q question) ([]string, error) { return referencedImages(q.Dockerfile, q.Args) }},
	{"openshift, rewritten", rewrittenPulls},
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		line, err := json.Marshal(ask(q))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		out.Write(append(line, '\n'))
		out.Flush()
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func ask(q question) answer {
	a := answer{Pulls: []pull{}, Refusals: map[string]string{}}
	for _, t := range tools {
		images, err := guarded(t, q)
		if err != nil {
			a.Refusals[t.name] = err.Error()
		}
		sort.Strings(images)
		for i, image := range images {
			if i == 0 || image != images[i-1] {
				a.Pulls = append(a.Pulls, pull{image, t.name})
			}
		}
	}
	return a
}

// guarded turns a panic of a tool into an error, because it would end a build too.
func guarded(t tool, q question) (images []string, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("panic: %v", problem)
		}
	}()
	return t.run(q)
}
