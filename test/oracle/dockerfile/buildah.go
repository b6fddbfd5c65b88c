package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	docker "github.com/fsouza/go-dockerclient"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// buildahPulls executes a Dockerfile with imagebuilder as buildah's executor does (containers/buildah imagebuildah, executor.go and
// stage_executor.go of 1.28), with empty images. Parsing, stages, variables and steps are imagebuilder's own. Only the executor's decision
// which names refer to stages is reimplemented here. `skipUnused` leaves out stages that the last one does not need, by their literal names.
func buildahPulls(text string, args map[string]string, skipUnused bool) ([]string, error) {
	node, err := imagebuilder.ParseDockerfile(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	builder := imagebuilder.NewBuilder(args)
	stages, err := imagebuilder.NewStages(node, builder)
	if err != nil {
		return nil, err
	}
	e := &executor{stages: stages, built: map[string]int{}, images: map[string]*docker.Config{}}
	needed := neededStages(stages)
	for i := range stages {
		if skipUnused && !needed[stages[i].Name] {
			continue
		}
		if err := e.build(i); err != nil {
			return e.pulled, err
		}
	}
	return e.pulled, nil
}

type executor struct {
	stages imagebuilder.Stages
	// Stages that were built, by name and by number.
	built map[string]int
	// The configurations that stages were committed with, by name only.
	images map[string]*docker.Config
	pulled []string
}

func (e *executor) build(index int) error {
	stage := e.stages[index]
	ib, node := stage.Builder, stage.Node
	base, err := ib.From(node)
	if err != nil {
		return err
	}
	e.built[stage.Name] = index
	e.built[strconv.Itoa(stage.Position)] = index

	config, isStage := e.images[base]
	if !isStage {
		config = &docker.Config{}
		if base != imagebuilder.NoBaseImageSpecifier {
			e.pulled = append(e.pulled, base)
		}
	}
	copied := *config
	if err := ib.FromImage(&docker.Image{Config: &copied}, node); err != nil {
		return err
	}
	if ib.RunConfig.Image == "" {
		ib.RunConfig.Image = base
	}
	run := &stageRun{executor: e, builder: ib, index: index}
	for _, child := range node.Children {
		step := ib.Step()
		if err := step.Resolve(child); err != nil {
			return err
		}
		if err := run.beforeStep(step); err != nil {
			return err
		}
		if err := ib.Run(step, run, false); err != nil {
			return err
		}
	}
	committed := ib.RunConfig
	committed.Env = append(append([]string{}, ib.Env...), ib.RunConfig.Env...)
	e.images[stage.Name] = &committed
	return nil
}

type stageRun struct {
	*executor
	builder *imagebuilder.Builder
	index   int
}

// beforeStep resolves COPY --from before the step runs, with the build arguments only. A number is replaced by the name of that stage.
func (s *stageRun) beforeStep(step *imagebuilder.Step) error {
	for _, flag := range step.Flags {
		if strings.ToUpper(step.Command) != "COPY" || !strings.Contains(flag, "--from") {
			continue
		}
		parts := strings.Split(flag, "=")
		if len(parts) != 2 {
			return fmt.Errorf("COPY: invalid --from flag")
		}
		from, err := imagebuilder.ProcessWord(parts[1], s.builder.Arguments())
		if err != nil {
			return err
		}
		if index, err := strconv.Atoi(from); err == nil {
			from = s.stages[index].Name
		}
		s.pullUnlessStage(from)
		break
	}
	return nil
}

func (s *stageRun) pullUnlessStage(name string) {
	if index, ok := s.built[name]; ok && index < s.index {
		return
	}
	s.pulled = append(s.pulled, name)
}

// Copy counts the expanded flag as a pull too. buildah only looks the name up again here, but a later version might pull it.
func (s *stageRun) Copy(_ []string, copies ...imagebuilder.Copy) error {
	for _, each := range copies {
		if each.From == "" {
			continue
		}
		from, err := imagebuilder.ProcessWord(each.From, s.builder.Arguments())
		if err != nil {
			return err
		}
		if index, err := strconv.Atoi(from); err == nil {
			if index < 0 || index >= len(s.stages) {
				return fmt.Errorf("invalid stage index %d", index)
			}
			from = s.stages[index].Name
		}
		s.pullUnlessStage(from)
	}
	return nil
}

func (s *stageRun) Run(run imagebuilder.Run, _ docker.Config) error {
	for _, mount := range run.Mounts {
		if !strings.Contains(mount, "from") {
			continue
		}
		fields := strings.Split(mount, ",")
		if len(fields) < 2 {
			return fmt.Errorf("invalid --mount: %s", mount)
		}
		for _, field := range fields {
			key, value, found := strings.Cut(field, "=")
			if key != "from" {
				continue
			}
			if !found || value == "" {
				return fmt.Errorf("from points to an empty value")
			}
			from, err := imagebuilder.ProcessWord(value, s.builder.Arguments())
			if err != nil {
				return err
			}
			s.pullUnlessStage(from)
		}
	}
	return nil
}

func (s *stageRun) Preserve(string) error            { return nil }
func (s *stageRun) EnsureContainerPath(string) error { return nil }
func (s *stageRun) EnsureContainerPathAs(string, string, *os.FileMode) error {
	return nil
}
func (s *stageRun) UnrecognizedInstruction(step *imagebuilder.Step) error {
	return fmt.Errorf("unknown instruction: %s", step.Command)
}

// neededStages returns the stages that the last stage needs, as far as buildah knows while only FROM is expanded.
func neededStages(stages imagebuilder.Stages) map[string]bool {
	needs := map[string][]string{}
	for _, stage := range stages {
		needs[stage.Name] = nil
		add := func(name string) {
			if _, known := needs[name]; known {
				needs[stage.Name] = append(needs[stage.Name], name)
			}
		}
		for _, child := range stage.Node.Children {
			switch strings.ToUpper(child.Value) {
			case "FROM":
				if child.Next != nil {
					if base, err := imagebuilder.ProcessWord(child.Next.Value, allArgs(stage.Builder)); err == nil {
						add(base)
					}
				}
			case "ADD", "COPY":
				for _, flag := range child.Flags {
					if name, ok := strings.CutPrefix(flag, "--from="); ok {
						if index, err := strconv.Atoi(name); err == nil {
							name = stages[index].Name
						}
						add(name)
					}
				}
			case "RUN":
				for _, flag := range child.Flags {
					mount, ok := strings.CutPrefix(flag, "--mount=")
					if !ok {
						continue
					}
					for _, field := range strings.Split(mount, ",") {
						if name, ok := strings.CutPrefix(field, "from="); ok {
							add(name)
						}
					}
				}
			}
		}
	}
	needed := map[string]bool{}
	var mark func(name string)
	mark = func(name string) {
		if needed[name] {
			return
		}
		needed[name] = true
		for _, other := range needs[name] {
			mark(other)
		}
	}
	if len(stages) > 0 {
		mark(stages[len(stages)-1].Name)
	}
	return needed
}

// allArgs returns all build arguments, declared or not, which is what buildah uses for FROM.
func allArgs(b *imagebuilder.Builder) []string {
	values := []string{}
	for name, value := range b.Args {
		values = append(values, name+"="+value)
	}
	return values
}

// wordsAfter returns the words of an instruction, without their nodes' other fields.
func wordsAfter(node *parser.Node) []string {
	var words []string
	for next := node.Next; next != nil; next = next.Next {
		words = append(words, next.Value)
	}
	return words
}
