// Package fault names the moments at which the record of a run moves, so that a process can be made to die, fail or dawdle at exactly
// one of them.
//
// Each [Move] has two moments: before it all is ready and nothing has moved, after it all has moved and nobody has heard of it.
// The code that moves the record calls [Hit] there, or [Around]. What happens is in the context, put there by [With]; without it
// nothing does, and a hit is one look into the context.
//
// doc/durability.md says of each move what is lost by a death before it and after it. A test holds the page and this list together.
package fault
