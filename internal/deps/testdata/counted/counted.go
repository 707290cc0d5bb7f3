// Package counted has a name of each kind that TestCounting counts.
package counted

const (
	A = iota
	b
)

var C, D int

func F() {}
func g() {}

type Store interface {
	Get()
	put()
}

type List[T any] struct {
	Len, cap int
	Next     *List[T]
	inner
}

func (l *List[T]) Add() {}
func (l List[T]) grow() {}

type Pair[K, V any] struct{}

func (p Pair[K, V]) Swap() {}

type inner struct{ Hidden int }

func (inner) Method() {}
