package hone_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
