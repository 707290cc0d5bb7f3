package schema

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// A matcher tells whether a text has a match of a pattern. Most patterns are small, and
// most texts ASCII: these are matched by an automaton of states, with one look-up for
// each byte, and all others by package regexp, in some ten times the time.
type matcher struct {
	regexp    *regexp.Regexp
	automaton *automaton // nil if the pattern has too many states, or a word boundary
}

func (m *matcher) match(text []byte) bool {
	if a := m.automaton; a != nil {
		if matches, ok := a.match(text); ok {
			return matches
		}
	}
	return m.regexp.Match(text)
}

// An automaton is deterministic, and made for ASCII. State 0 has no way to a match,
// state 1 is that of the beginning.
type automaton struct {
	next   [][utf8.RuneSelf]uint8
	result []uint8
}

// What a state says of the text up to it.
const (
	undecided    = iota
	matchesAtEnd // if the text ends here
	matches      // whatever comes
)

const (
	maxStates      = 64
	maxStateSource = 256  // instructions of a pattern for which one is made
	maxAllStates   = 4096 // made for all patterns of a definition: half a MiB
)

// match reports whether the text matches. It is not ok if the text is not ASCII.
func (a *automaton) match(text []byte) (matching, ok bool) {
	state := uint8(1)
	for _, b := range text {
		if a.result[state] == matches {
			return true, true
		}
		if b >= utf8.RuneSelf {
			return false, false
		}
		if state = a.next[state][b]; state == 0 {
			return false, true
		}
	}
	return a.result[state] != undecided, true
}

// newAutomaton makes the automaton of an expression, or returns nil. It takes its states
// from room, also if they are too many: making them is what takes time.
func newAutomaton(re *syntax.Regexp, room *int) *automaton {
	program, err := syntax.Compile(re.Simplify())
	if err != nil || len(program.Inst) > maxStateSource || *room <= 0 {
		return nil
	}
	for i := range program.Inst {
		inst := &program.Inst[i]
		if op := syntax.EmptyOp(inst.Arg); inst.Op == syntax.InstEmptyWidth && op != syntax.EmptyBeginText && op != syntax.EmptyEndText {
			return nil
		}
	}
	b := builder{program: program}
	defer func() { *room -= len(b.states) }()
	again := b.reach(nil, uint32(program.Start), inside) // a match may begin at each byte
	b.state(nil)
	b.state(b.reach(nil, uint32(program.Start), atBegin))
	for at := 1; at < len(b.states); at++ {
		var taken, last []uint32 // the instructions that take c, and the character before
		number := -1
		for c := range rune(utf8.RuneSelf) {
			taken, last = last[:0], taken
			for _, pc := range b.states[at] {
				if inst := &program.Inst[pc]; consumes(inst) && inst.MatchRune(c) {
					taken = append(taken, pc)
				}
			}
			if number < 0 || !slices.Equal(taken, last) {
				next := slices.Clone(again)
				for _, pc := range taken {
					next = b.reach(next, program.Inst[pc].Out, inside)
				}
				if number = b.state(next); number < 0 {
					return nil
				}
			}
			b.next[at][c] = uint8(number)
		}
	}
	if b.failed {
		return nil
	}
	return &b.automaton
}

// A builder makes an automaton: each state is a sorted set of instructions.
type builder struct {
	automaton
	program *syntax.Prog
	states  [][]uint32
	failed  bool // the pattern has a ^ after a $
}

func consumes(inst *syntax.Inst) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// state returns the number of a state, a new one if it is not known: -1 if they are too
// many.
func (b *builder) state(set []uint32) int {
	slices.Sort(set)
	for i, known := range b.states {
		if slices.Equal(known, set) {
			return i
		}
	}
	if len(b.states) == maxStates {
		return -1
	}
	result := uint8(undecided)
	for _, pc := range set {
		switch {
		case b.program.Inst[pc].Op == syntax.InstMatch:
			result = matches
		case !consumes(&b.program.Inst[pc]) && result == undecided && b.ends(pc):
			result = matchesAtEnd
		}
	}
	b.states, b.next, b.result = append(b.states, set), append(b.next, [utf8.RuneSelf]uint8{}), append(b.result, result)
	return len(b.states) - 1
}

// Where a set is reached.
const (
	inside = iota
	atBegin
	atEnd
)

// reach adds to a set what is reached from an instruction without a byte: instructions
// that consume one, a match, and the demand for the end of the text.
func (b *builder) reach(set []uint32, pc uint32, where int) []uint32 {
	visited := make([]bool, len(b.program.Inst))
	var visit func(pc uint32)
	visit = func(pc uint32) {
		if visited[pc] {
			return
		}
		visited[pc] = true
		inst := &b.program.Inst[pc]
		empty := syntax.EmptyOp(0)
		if inst.Op == syntax.InstEmptyWidth {
			empty = syntax.EmptyOp(inst.Arg)
		}
		switch {
		case inst.Op == syntax.InstAlt || inst.Op == syntax.InstAltMatch:
			visit(inst.Out)
			visit(inst.Arg)
		case inst.Op == syntax.InstCapture || inst.Op == syntax.InstNop:
			visit(inst.Out)
		case inst.Op == syntax.InstFail:
		case empty == syntax.EmptyBeginText:
			b.failed = b.failed || where == atEnd
			if where == atBegin {
				visit(inst.Out)
			}
		case empty == syntax.EmptyEndText && where == atEnd:
			visit(inst.Out)
		case !slices.Contains(set, pc):
			set = append(set, pc)
		}
	}
	visit(pc)
	return set
}

// ends reports whether a match is reached from a demand for the end of the text.
func (b *builder) ends(pc uint32) bool {
	return slices.ContainsFunc(b.reach(nil, pc, atEnd), func(pc uint32) bool { return b.program.Inst[pc].Op == syntax.InstMatch })
}
