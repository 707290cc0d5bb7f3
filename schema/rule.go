package schema

import (
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rules judges the declarations of rules.
func (c *compiler) rules(rules []Rule) {
	seen := make(map[string]bool, len(rules))
	for i, rule := range rules {
		switch {
		case !isName(rule.Name):
			c.mistake("", "rule %d: expected a name of letters, digits, '_' and '-'", i)
		case seen[rule.Name]:
			c.mistake("", "rule %d: the name %s is there twice", i, rule.Name)
		case rule.Check == nil:
			c.mistake("", "rule %s: the function Check is missing", rule.Name)
		}
		seen[rule.Name] = true
	}
}

// judgeRules returns what the rules find in the merged document: a *ValidationError, or
// another error if a rule fails.
func (s *Schema) judgeRules(merged, stored []byte) error {
	if len(stored) == 0 {
		stored = nil
	}
	var invalid ValidationError
	for i := range s.def.Rules {
		found, err := s.def.Rules[i].judge(merged[:len(merged):len(merged)], stored[:len(stored):len(stored)])
		if err != nil {
			return err
		}
		room := min(len(found), maxViolations-len(invalid.Violations))
		invalid.Violations = append(invalid.Violations, found[:room]...)
		invalid.More += len(found) - room
	}
	if len(invalid.Violations) == 0 {
		return nil
	}
	return &invalid
}

// judge calls Check once. The error names the rule, and says what a panic was but for a
// text of the rule, which may hold a value of the document.
func (r *Rule) judge(merged, stored []byte) (found []Violation, err error) {
	defer func() {
		if p := recover(); p != nil {
			what := "a value of type " + reflect.TypeOf(p).String()
			if e, ok := p.(runtime.Error); ok {
				what = e.Error()
			}
			found, err = nil, fmt.Errorf("schema: rule %s: panic at %s: %s", r.Name, panicPlace(), what)
		}
	}()
	found = append(found, r.Check(merged, stored)...)
	for i := range found {
		v := &found[i]
		if v.Code == "" {
			v.Code = codeRule
		}
		if !isPointer(string(v.Pointer)) || v.Message == "" || !utf8.ValidString(v.Message) || !utf8.ValidString(v.Code) {
			return nil, fmt.Errorf("schema: rule %s: violation %d: expected a JSON Pointer and a message", r.Name, i)
		}
	}
	return found, nil
}

// panicPlace returns the file and the line of the panic that is recovered.
func panicPlace() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return frame.File[strings.LastIndexByte(frame.File, '/')+1:] + ":" + strconv.Itoa(frame.Line)
		}
	}
}

// isPointer reports whether s is a JSON Pointer (RFC 6901, section 3).
func isPointer(s string) bool {
	if s != "" && s[0] != '/' || !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return false
		}
	}
	return true
}
