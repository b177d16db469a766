package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/choice"
	"github.com/hone-rl/hone/task/countdown"
	"github.com/hone-rl/hone/task/game24"
	"github.com/hone-rl/hone/task/gsm8k"
	"github.com/hone-rl/hone/task/integer"
	"github.com/hone-rl/hone/task/latex"
	"github.com/hone-rl/hone/task/program"
)

// openers make each task under its default configuration.
func openers() map[string]func() (task.Task, error) {
	return map[string]func() (task.Task, error){
		game24.Name:    func() (task.Task, error) { return game24.New(game24.DefaultConfig()) },
		countdown.Name: func() (task.Task, error) { return countdown.New(countdown.DefaultConfig()) },
		gsm8k.Name:     func() (task.Task, error) { return gsm8k.New(nil), nil },
		choice.Name:    func() (task.Task, error) { return choice.New(), nil },
		integer.Name:   func() (task.Task, error) { return integer.New(), nil },
		program.Name:   func() (task.Task, error) { return program.New(), nil },
		latex.Name:     func() (task.Task, error) { return latex.New(), nil },
	}
}

// taskNames are the tasks there are.
func taskNames() []string {
	var names []string
	for name := range openers() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// openTask is the task of that name.
func openTask(name string) (task.Task, error) {
	open, ok := openers()[name]
	if !ok {
		return nil, fmt.Errorf("task %q: want one of %s: %w", name, strings.Join(taskNames(), ", "), hone.ErrInvalid)
	}
	return open()
}
