package store

import (
	"fmt"
	"maps"
	"slices"
)

// mostLoaded is about how many bytes of memory the rows may take that one Load
// gives, where its shape does not say.
const mostLoaded = 256 << 20

// Portion is what a database read of some keys, for [InPortions].
type Portion struct {
	Found map[string]Composite
	Bytes int64 // about what the rows take
	// Heavy: they would take more than they may, so reading was given up.
	Heavy bool
	// Failed is why they can't be read, if the values of a row are the reason.
	Failed error
}

// InPortions is [Loader.Load] for a database: read reads composites as long as their
// rows take no more than most bytes, alone says what there is of a key whose rows
// can't be read as their values are. Halving finds such a key without a statement for
// each, and as many of the first keys as may be held together; the rest is left.
func InPortions(shape *Shape, keys []string, read func(keys []string, most int64) (Portion, error), alone func(key string, failed error) (Composite, bool, error)) (found map[string]Composite, rest []string, err error) {
	h := &halving{read: read, alone: alone, most: shape.ByteLimit, found: map[string]Composite{}}
	if h.most <= 0 {
		h.most = mostLoaded
	}
	rest, err = h.take(keys)
	return h.found, rest, err
}

// Weight is about how many bytes of memory a row takes whose values are so long
// together: what holds a small value takes more than the value.
func Weight(columns, length int) int64 { return 64 + 64*int64(columns) + int64(length) }

type halving struct {
	read  func(keys []string, most int64) (Portion, error)
	alone func(key string, failed error) (Composite, bool, error)
	most  int64
	held  int64 // bytes of what is found
	found map[string]Composite
}

// take reads keys, and gives those back that have to wait for another time.
func (h *halving) take(keys []string) (rest []string, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	most := h.most - h.held
	single := len(keys) == 1 && h.held == 0
	if single {
		most = 4 * h.most // it can't become less by waiting
	}
	p, err := h.read(keys, most)
	switch {
	case err != nil:
		return nil, err
	case p.Heavy && single:
		h.found[keys[0]] = Composite{Row: Row{}, Err: fmt.Errorf("its rows take more than %d MB of memory: map fewer or shorter columns, or load less of them with a where or an aggregate", most>>20)}
		return nil, nil
	case p.Heavy && (len(keys) == 1 || h.held > 0):
		return keys, nil
	case p.Heavy:
		rest, err = h.take(keys[:len(keys)/2])
		return slices.Concat(rest, keys[len(keys)/2:]), err
	case p.Failed == nil:
		maps.Copy(h.found, p.Found)
		h.held += p.Bytes
		return nil, nil
	case len(keys) == 1:
		c, there, err := h.alone(keys[0], p.Failed)
		if there {
			h.found[keys[0]] = c
		}
		return nil, err
	}
	rest, err = h.take(keys[:len(keys)/2])
	if err != nil || len(rest) > 0 {
		return slices.Concat(rest, keys[len(keys)/2:]), err
	}
	return h.take(keys[len(keys)/2:])
}
