// Package prose is what tasks in words have in common: a problem is a question with its reference answer, a step is a line, and a
// line may state arithmetic, between << and >> or in plain equations, which is checked exactly.
//
// A line is not good when its arithmetic is false or can't be read, when it uses a number that comes from nowhere, computes nothing,
// repeats an earlier line or the question, says nothing, or stands after the answer; an answer is not good when no step leads to it.
// A line that supposes something may bring its own numbers; what is derived from them is known to rest on it, and an answer may only do so
// after a step has confirmed it (see chain). What a line says in words is not judged.
package prose
