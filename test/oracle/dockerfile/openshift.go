package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// referencedImages returns the images that OpenShift's builder pulls before it starts buildah: FROM and COPY --from, expanded only with the
// ARGs before the first FROM and the build arguments (openshift/builder pkg/build/builder/common.go, findReferencedImages).
func referencedImages(text string, args map[string]string) ([]string, error) {
	node, err := imagebuilder.ParseDockerfile(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	builder := imagebuilder.NewBuilder(args)
	stages, err := imagebuilder.NewStages(node, builder)
	if err != nil {
		return nil, err
	}
	values := []string{}
	for name, value := range builder.HeadingArgs {
		values = append(values, name+"="+value)
	}
	names := map[string]bool{}
	var images []string
	for _, stage := range stages {
		for _, child := range stage.Node.Children {
			name := ""
			switch child.Value {
			case "from":
				names[stage.Name] = true
				if words := wordsAfter(child); len(words) > 0 {
					name = words[0]
				}
			case "copy":
				for _, flag := range child.Flags {
					if from, ok := strings.CutPrefix(flag, "--from="); ok {
						name = from
						break
					}
				}
			}
			if name == "" {
				continue
			}
			image, err := imagebuilder.ProcessWord(name, values)
			if err != nil {
				return images, err
			}
			// The builder does not recognize the number of a stage that also has a name. buildah, which runs next, does.
			if child.Value == "copy" && isDigits(image) {
				continue
			}
			if image != "" && image != imagebuilder.NoBaseImageSpecifier && !names[image] {
				images = append(images, image)
			}
		}
	}
	return images, nil
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// rewrittenPulls follows an OpenShift build. The builder reads the Dockerfile, inserts the strategy's env after each FROM and writes everything
// out again, without the quotes of flags, comments and here-documents. buildah reads the result (addBuildParameters, util/dockerfile).
func rewrittenPulls(q question) ([]string, error) {
	text, err := rewrite(q.Dockerfile, q.Env)
	if err != nil {
		return nil, err
	}
	images, err := buildahPulls(text, q.Args, true)
	return images, err
}

func rewrite(text string, env map[string]string) (string, error) {
	node, err := imagebuilder.ParseDockerfile(strings.NewReader(text))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, child := range node.Children {
		out.WriteString(written(child))
		if child.Value == "from" && len(env) > 0 {
			out.WriteString(envLine(env))
		}
	}
	return out.String(), nil
}

func envLine(env map[string]string) string {
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	sort.Strings(names)
	line := "ENV"
	for _, name := range names {
		line += fmt.Sprintf(" %q=%q", name, env[name])
	}
	return line + "\n"
}

func written(node *parser.Node) string {
	line := strings.ToUpper(node.Value)
	for _, flag := range node.Flags {
		line += " " + flag
	}
	words := wordsAfter(node)
	switch {
	case node.Value == "onbuild":
		if node.Next != nil && len(node.Next.Children) > 0 {
			return line + " " + written(node.Next.Children[0])
		}
	case node.Value == "env" || node.Value == "label":
		for i := 0; i+1 < len(words); i += 2 {
			line += " " + words[i] + "=" + words[i+1]
		}
	case node.Attributes["json"]:
		list, _ := json.Marshal(words)
		line += " " + string(list)
	default:
		for _, word := range words {
			line += " " + word
		}
	}
	return line + "\n"
}
