package mcts

import "math/bits"

// keyTable finds equal keys. Its slots belong to the present use where their stamp says so, so that it is never cleared, and are so
// many that few keys come to one that is taken.
type keyTable struct {
	slots []keySlot
	stamp uint32
}

type keySlot struct {
	stamp uint32
	index int32
}

// The slots of a table: at least slotsAKey times the keys, and smallSlots.
const (
	slotsAKey  = 4
	smallSlots = 512
)

// reset forgets all keys and makes room for count.
func (k *keyTable) reset(count int) {
	size := smallSlots
	for size < slotsAKey*count {
		size *= 2
	}
	if size > len(k.slots) || k.stamp == 1<<32-1 {
		k.slots, k.stamp = make([]keySlot, size), 0
	}
	k.stamp++
}

// add enters a key under its index, unless an equal one is there; then it returns that one's index. keyOf is the key of an index.
func (k *keyTable) add(index int32, key string, keyOf func(int32) string) (at int32, known bool) {
	last := uint64(len(k.slots) - 1)
	for i := hashKey(key) & last; ; i = (i + 1) & last {
		s := &k.slots[i]
		if s.stamp != k.stamp {
			*s = keySlot{stamp: k.stamp, index: index}
			return index, false
		}
		if keyOf(s.index) == key {
			return s.index, true
		}
	}
}

// survey adds up the priors of the actions that aren't masked, and counts those. It tells whether no two actions have one key, as far as
// that is quickly found.
func survey[S any](k *keyTable, actions []Action[S]) (mass float64, open int, distinct bool) {
	if len(actions) > smallSlots/slotsAKey {
		return 0, 0, false
	}
	k.reset(len(actions))
	slots, stamp := (*[smallSlots]keySlot)(k.slots), k.stamp
	for j := range actions {
		a := &actions[j]
		if !a.Masked {
			mass += a.Prior
			open++
		}
		i := hashKey(a.Key) % smallSlots
		for slots[i].stamp == stamp {
			if actions[slots[i].index].Key == a.Key {
				return 0, 0, false
			}
			i = (i + 1) % smallSlots
		}
		slots[i] = keySlot{stamp: stamp, index: int32(j)}
	}
	return mass, open, true
}

// hashKey mixes up to eight bytes at a time, as a product of 128 bits folded to 64. Keys are short, and only the spread of the lowest bits
// over slots matters. The constants have about as many ones as zeros.
func hashKey(s string) uint64 {
	h := uint64(len(s)) ^ 0xa0761d6478bd642f
	for ; len(s) > 8; s = s[8:] {
		h = fold(h ^ four(s) ^ four(s[4:])<<32)
	}
	switch n := len(s); {
	case n >= 4:
		h ^= four(s) ^ four(s[n-4:])<<32
	case n > 0:
		h ^= uint64(s[0])<<8 ^ uint64(s[n/2])<<16 ^ uint64(s[n-1])<<24
	}
	return fold(h)
}

func fold(h uint64) uint64 {
	high, low := bits.Mul64(h, 0x9e3779b97f4a7c15)
	return high ^ low
}

// four is the number that four bytes are.
func four(s string) uint64 {
	_ = s[3]
	return uint64(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
}
