package game24

import (
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/internal/numbers"
)

// solvable are the games of the puzzles that have a solution, in order, at most limit of them; all where limit is negative.
func solvable(puzzles [][]int, limit int) []numbers.Game {
	var games []numbers.Game
	for _, puzzle := range puzzles {
		if len(games) == limit {
			break
		}
		if g := gameOf(puzzle); g.Numbers.Reaches(g.Target) {
			games = append(games, g)
		}
	}
	return games
}

// makeTrain is the classic puzzles that are not reserved and then Config.Wide wide ones. Wide puzzles have three numbers or one
// above 13, so none is a classic puzzle, reserved or not. The solver runs over puzzles in shuffled order until there are enough.
func (t *Task) makeTrain(classic []hone.Problem) []hone.Problem {
	var train []hone.Problem
	for _, p := range classic {
		if !t.reserved[p.Key] {
			train = append(train, p)
		}
	}
	wide := multisets(3, t.cfg.WideThree)
	for _, puzzle := range multisets(4, t.cfg.WideFour) {
		if puzzle[3] > 13 {
			wide = append(wide, puzzle)
		}
	}
	rng := hone.Rand(hone.Seed(t.cfg.Seed, "game24 wide"))
	rng.Shuffle(len(wide), func(i, j int) { wide[i], wide[j] = wide[j], wide[i] })
	games := solvable(wide, t.cfg.Wide)
	slices.SortFunc(games, compareGames)
	for i := range games {
		train = append(train, t.ProblemOf(&games[i]))
	}
	return train
}

// compareGames orders by count of numbers, then by the numbers.
func compareGames(a, b numbers.Game) int {
	if d := a.Numbers.Len() - b.Numbers.Len(); d != 0 {
		return d
	}
	for i, n := range a.Numbers.Numbers() {
		if d := n.Compare(b.Numbers.Numbers()[i]); d != 0 {
			return d
		}
	}
	return 0
}
