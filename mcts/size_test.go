package mcts

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The package comment says how many bytes each takes.
func TestSizesAreThoseOfThePackageComment(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 96, unsafe.Sizeof(node{}))
	require.EqualValues(t, 40, unsafe.Sizeof(link{}))
}
