package op

// ScoreChunks is Score with a bound of its own on the logits that are in memory at once.
var ScoreChunks = scoreChunks
