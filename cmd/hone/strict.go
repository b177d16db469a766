package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/hone-rl/hone"
)

// The YAML package's own strictness passes over some slips in silence: a fraction where an integer belongs, a second document,
// a null. So the tree is checked here first, against the types, which also lets an error name the path and the fields there are.

// parse is the mapping that the layer's text holds, nil where it holds nothing.
func (l layer) parse() (ast.Node, error) {
	file, err := parser.ParseBytes(l.text, 0)
	if err != nil {
		return nil, l.fault(err)
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, l.at(doc.Body.GetToken(), "", "a second document; want one")
		}
		root = doc.Body
	}
	return root, nil
}

// fault is an error of the YAML package on one line.
func (l layer) fault(err error) error {
	if detailed, ok := errors.AsType[yaml.Error](err); ok {
		return l.at(detailed.GetToken(), "", detailed.GetMessage())
	}
	return fmt.Errorf("%s: %w: %w", l.name, err, hone.ErrInvalid)
}

// at is a fault at a place of the layer.
func (l layer) at(where *token.Token, path, what string) error {
	name := l.name
	if where != nil && where.Position != nil && !l.typed {
		name = fmt.Sprintf("%s:%d:%d", name, where.Position.Line, where.Position.Column)
	}
	if path != "" {
		name += ": " + path
	}
	return fmt.Errorf("%s: %s: %w", name, what, hone.ErrInvalid)
}

// check holds the tree against a type and joins all faults.
func (l layer) check(root ast.Node, t reflect.Type) error {
	return errors.Join(l.value(root, t, "")...)
}

// decode reads the layer's text over what into points to, strictly. Lists in it must be its own.
func (l layer) decode(into any) error {
	root, err := l.parse()
	if err != nil || root == nil {
		return err
	}
	if err := l.check(root, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	if err := yaml.UnmarshalWithOptions(l.text, into, yaml.Strict()); err != nil {
		return l.fault(err)
	}
	return nil
}

// value checks one node against the type of the field at path.
func (l layer) value(node ast.Node, t reflect.Type, path string) []error {
	wrong := func(want string) []error {
		return []error{l.at(node.GetToken(), path, fmt.Sprintf("%s: want %s", written(node), want))}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return l.value(node, t.Elem(), path)
	case reflect.Struct:
		return l.mapping(node, t, path)
	case reflect.Slice:
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			return wrong("a list")
		}
		var faults []error
		for i, entry := range list.Values {
			faults = append(faults, l.value(entry, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return faults
	case reflect.Bool:
		if _, ok := node.(*ast.BoolNode); !ok {
			return wrong("true or false")
		}
	case reflect.String:
		if _, ok := node.(*ast.StringNode); !ok {
			return wrong("text")
		}
	case reflect.Float32, reflect.Float64:
		if !isNumber(node) {
			return wrong("a finite number")
		}
	default:
		if _, ok := node.(*ast.IntegerNode); !ok {
			return wrong("an integer")
		}
	}
	return nil
}

// written is a node as it stands in the text.
func written(node ast.Node) string {
	if text := strings.TrimSpace(node.String()); text != "" {
		return text
	}
	return "empty"
}

// isNumber tells whether a node is a finite number. The package takes 3e-4 for text, and makes it a number when it decodes.
func isNumber(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	case *ast.StringNode:
		v, err := strconv.ParseFloat(n.Value, 64)
		return err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
	default:
		return false
	}
}

// mapping checks the entries of a mapping against a struct's fields.
func (l layer) mapping(node ast.Node, t reflect.Type, path string) []error {
	var entries []*ast.MappingValueNode
	switch m := node.(type) {
	case *ast.MappingNode:
		entries = m.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{m}
	default:
		what := "the file"
		if path != "" {
			what = path
		}
		return []error{l.at(node.GetToken(), "", fmt.Sprintf("%s is %s: want fields, each with its value", what, written(node)))}
	}
	names, fields := fieldsOf(t)
	var faults []error
	for _, entry := range entries {
		key := entry.Key.GetToken().Value
		below := strings.TrimPrefix(path+"."+key, ".")
		field, ok := fields[key]
		if !ok {
			faults = append(faults, l.at(entry.Key.GetToken(), below, "unknown field; want one of "+strings.Join(names, ", ")))
			continue
		}
		faults = append(faults, l.value(entry.Value, field, below)...)
	}
	return faults
}

// fieldsOf are the types of a struct's fields by their names in YAML, and the names in order.
func fieldsOf(t reflect.Type) (names []string, fields map[string]reflect.Type) {
	fields = make(map[string]reflect.Type)
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case slices.Contains(strings.Split(options, ","), "inline"):
			inner, types := fieldsOf(f.Type)
			names = append(names, inner...)
			maps.Copy(fields, types)
		default:
			names = append(names, name)
			fields[name] = f.Type
		}
	}
	return names, fields
}

// setLayer is the layer of --set path=value.
func setLayer(assignment string) (layer, error) {
	l := layer{name: "--set " + assignment, typed: true}
	path, value, ok := strings.Cut(assignment, "=")
	bad := func(what string) (layer, error) { return l, fmt.Errorf("%s: %s: %w", l.name, what, hone.ErrInvalid) }
	switch {
	case !ok:
		return bad("want a field and its value, such as ppo.kl_coef=0.02")
	case strings.ContainsAny(assignment, "\n\r"):
		return bad("want one line")
	case strings.TrimSpace(value) == "":
		return bad("the value is missing")
	}
	var text strings.Builder
	indent := ""
	for i, name := range strings.Split(path, ".") {
		if name == "" || strings.ContainsAny(name, " \t:#{}[],&*!|>'\"%@`") {
			return bad(fmt.Sprintf("%q is no path of a field, such as ppo.kl_coef", path))
		}
		if i > 0 {
			text.WriteString("\n")
		}
		text.WriteString(indent + name + ":")
		indent += "  "
	}
	l.text = []byte(text.String() + " " + value + "\n")
	return l, nil
}
