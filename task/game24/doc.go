// Package game24 is the Game of 24: make 24 from four numbers, each used exactly once, with + - * / and parentheses, exactly.
//
// The puzzles are all 1,362 solvable ones of four numbers from 1 to 13, found by our own solver; a fixed 300 of them are held out,
// over all difficulties. Training adds 'wide' puzzles (four numbers up to 30, three up to 60), because a thousand are soon
// memorised. Yao et al. 2023 (Tree of Thoughts, arXiv:2305.10601) report on the 100 puzzles of ranks 901 to 1000 by human
// difficulty; where their list is handed in, those are a split of their own and kept out of training too.
//
// A completion is lines:
//
//	10 - 4 = 6 (left: 5 6 6)                one operation on two numbers that are left, then all numbers left, ascending
//	back (left: 4 5 6 10)                   return to a state that was visited earlier and is not the present one
//	Answer: (5 * (10 - 4)) - 6 = 24         an expression over the puzzle's numbers and its value; ends the reasoning
//
// Steps are written with exactly one space where a space stands; numbers as 6, -2 or 8/3. The expression of an answer may have any
// spacing and parentheses. A step that can't be read, is false or is not legal leaves the state as it was before it. The first
// answer counts; steps after it are never legal. An answer that the steps before it do not lead to is right if it is right, but not
// legal: it skips steps.
package game24
