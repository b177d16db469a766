package hone_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/storage/fault"
)

// TestPapersNameFilesAndTestsThatExist reads doc/papers.md: in each row of a table the third column names files, and the fourth
// names tests, each after the folder it is in or that of the test before it.
func TestPapersNameFilesAndTestsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("doc/papers.md")
	require.NoError(t, err)
	word := regexp.MustCompile("`([^`]+)`|(Test[A-Za-z0-9]+)")
	tests := make(map[string]string)
	rows := 0
	for line := range strings.Lines(string(page)) {
		columns := strings.Split(line, "|")
		if len(columns) != 6 || !strings.Contains(columns[3], "`") {
			continue
		}
		rows++
		for _, name := range word.FindAllStringSubmatch(columns[3], -1) {
			require.FileExists(t, name[1], "row %q", columns[1])
		}
		folder := ""
		for _, name := range word.FindAllStringSubmatch(columns[4], -1) {
			if name[1] != "" {
				folder = name[1]
				continue
			}
			if _, read := tests[folder]; !read {
				tests[folder] = testSources(t, folder)
			}
			found := strings.Contains(tests[folder], "func "+name[2]+"(")
			require.True(t, found, "%s of row %q is not in %q", name[2], columns[1], folder)
		}
		require.NotEmpty(t, folder, "row %q names no test", columns[1])
	}
	require.Greater(t, rows, 30, "the tables were not found")
}

// testSources is the text of all tests in the folder.
func testSources(t *testing.T, folder string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

// TestDurabilityPageHasEveryMove reads doc/durability.md: its table of moves has those of package fault in their order, each of which the
// code comes by, and the tests that it names are there.
func TestDurabilityPageHasEveryMove(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("doc/durability.md")
	require.NoError(t, err)
	word := regexp.MustCompile("`([^`]+)`|(Test[A-Za-z0-9]+)")
	source := sources(t, "storage")
	var moves []fault.Move
	named := 0
	for line := range strings.Lines(string(page)) {
		columns := strings.Split(line, "|")
		if len(columns) != 7 || !strings.Contains(columns[1], "`") {
			continue
		}
		move := strings.Trim(columns[1], " `")
		moves = append(moves, fault.Move(move))
		require.Contains(t, source, "fault."+strings.ToUpper(move[:1])+move[1:], "nothing comes by %s", move)
		folder := ""
		for _, name := range word.FindAllStringSubmatch(columns[5], -1) {
			if name[1] != "" {
				folder = name[1]
				continue
			}
			require.Contains(t, testSources(t, folder), "func "+name[2]+"(", "row %s", move)
			named++
		}
	}
	require.Equal(t, fault.Moves(), moves)
	require.Greater(t, named, len(moves))
	require.Contains(t, testSources(t, "activities"), "func TestProcessKilledAtEachPoint(")
}

// sources is the text of all code in the folder and those directly below it, tests excepted.
func sources(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.go", "*/*.go"} {
		names, err := filepath.Glob(filepath.Join(folder, pattern))
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/fault/") {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			all.Write(text)
		}
	}
	return all.String()
}
