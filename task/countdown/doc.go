// Package countdown is the numbers game of Countdown: make a target from three to six numbers, each used at most once, with
// + - * / and parentheses, exactly.
//
// Problems are generated from a seed and have a solution by construction: numbers are drawn, some of them are joined at random, and
// what came out is the target. With [Config.UseAll] all are joined, and an answer has to use each. Training and held-out problems are
// disjoint as pairs of numbers and target.
//
// A completion is lines, as in the Game of 24 (task/game24), except that the answer may leave numbers unused:
//
//	50 + 25 = 75 (left: 3 7 75)             one operation on two numbers that are left, then all numbers left, ascending
//	back (left: 3 7 25 50)                  return to a state that was visited earlier and is not the present one
//	Answer: (25 + 50) + 3 = 78              an expression over the problem's numbers and its value; ends the reasoning
package countdown
