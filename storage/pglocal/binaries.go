package pglocal

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
)

// Install is the line to type where there is no PostgreSQL.
const Install = "apt-get install -y postgresql"

// minMajor is the oldest PostgreSQL that the application's schema is written for.
const minMajor = 14

// Binaries are the programs of one installed PostgreSQL.
type Binaries struct {
	// Dir holds postgres and initdb.
	Dir string
	// Version is what postgres calls itself, such as "15.18" or "18beta1".
	Version string
	// Major is the first number of Version: what has to agree with a data directory.
	Major int
}

func (b Binaries) path(program string) string { return filepath.Join(b.Dir, program) }

// DefaultCacheDir is where fetched binaries are kept: the user's cache, or for root a place that other accounts can reach.
func DefaultCacheDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/hone"
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "hone")
	}
	return filepath.Join(os.TempDir(), "hone-cache")
}

// Find looks for binaries in this order: binDir alone if it is given; else the PATH, /usr/lib/postgresql (the highest version
// first), /usr/pgsql-*, Homebrew, and what an earlier run fetched into cacheDir. It fetches nothing. No binaries is
// [hone.ErrNotFound] with the line to type.
func Find(binDir, cacheDir string) (Binaries, error) {
	found, err := candidates(binDir, places(cacheDir))
	if err != nil {
		return Binaries{}, err
	}
	if len(found) == 0 {
		return Binaries{}, errNoBinaries()
	}
	return found[0], nil
}

// places are the patterns of directories that binaries are looked for in, after the PATH.
func places(cacheDir string) []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		filepath.Join(cacheDir, fetchedDir, "bin"),
	}
}

func errNoBinaries() error {
	return fmt.Errorf("no PostgreSQL %d or later on this machine; install it with: %s: %w", minMajor, Install, hone.ErrNotFound)
}

// find picks the binaries that fit the data directory's version (0: a new one), fetching some if there are none at all.
func find(ctx context.Context, o Options, written int) (Binaries, error) {
	found, err := candidates(o.BinDir, o.places)
	if err != nil {
		return Binaries{}, err
	}
	if len(found) == 0 {
		b, err := fetch(ctx, o.CacheDir, o.Logger)
		if err != nil {
			return Binaries{}, fmt.Errorf("%w (fetching it failed too: %w)", errNoBinaries(), err)
		}
		found = []Binaries{b}
	}
	if written == 0 {
		return found[0], nil
	}
	for _, b := range found {
		if b.Major == written {
			return b, nil
		}
	}
	return Binaries{}, fmt.Errorf("%s was written by PostgreSQL %d, but %s has %s; install version %d or choose another data directory "+
		"(nothing was changed): %w", o.Dir, written, found[0].Dir, found[0].Version, written, hone.ErrConflict)
}

// candidates are all usable binaries in order of preference.
func candidates(binDir string, places []string) ([]Binaries, error) {
	if binDir != "" {
		b, err := inspect(binDir)
		if err != nil {
			return nil, fmt.Errorf("PostgreSQL binaries in %s: %w", binDir, err)
		}
		return []Binaries{b}, nil
	}
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for _, pattern := range places {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for PostgreSQL in %s: %w", pattern, err)
		}
		slices.SortStableFunc(matches, func(a, b string) int { return cmp.Compare(numberIn(b), numberIn(a)) })
		dirs = append(dirs, matches...)
	}
	var found []Binaries
	for _, dir := range dirs {
		if b, err := inspect(dir); err == nil && !slices.ContainsFunc(found, func(f Binaries) bool { return f.Dir == dir }) {
			found = append(found, b)
		}
	}
	return found, nil
}

// numberIn is the last number in the path, which is the major version in the places we look.
func numberIn(path string) int {
	all := regexp.MustCompile(`\d+`).FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1]) // digits; a number too long for an int sorts as the largest
	return n
}

// inspect asks the binaries in dir for their version.
func inspect(dir string) (Binaries, error) {
	b := Binaries{Dir: dir}
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(b.path(program)); err != nil {
			return Binaries{}, fmt.Errorf("%w: %w", hone.ErrNotFound, err)
		}
	}
	out, err := exec.Command(b.path("postgres"), "--version").Output() //nolint:noctx // it answers at once
	if err != nil {
		return Binaries{}, fmt.Errorf("%s --version: %w: %w", b.path("postgres"), hone.ErrInvalid, err)
	}
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`).FindStringSubmatch(string(out))
	if match == nil {
		return Binaries{}, fmt.Errorf("%s --version says %q: %w", b.path("postgres"), strings.TrimSpace(string(out)), hone.ErrInvalid)
	}
	b.Version = match[1]
	if b.Major, err = strconv.Atoi(match[2]); err != nil || b.Major < minMajor {
		return Binaries{}, fmt.Errorf("PostgreSQL %s in %s is too old, want %d or later: %w",
			b.Version, dir, minMajor, hone.ErrInvalid)
	}
	return b, nil
}
