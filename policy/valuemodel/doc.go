// Package valuemodel trains and asks a process-value model: a policy's transformer, with weights of its own, whose value head says at the
// end of each step how likely a right answer is from there.
//
// It learns from states with targets in [0, 1] ([State]): the Q that a search came to under the verifier (Silver et al. 2018,
// doi:10.1126/science.aar6404, the value target), and how many samples of the policy were right in the end (Wang et al. 2024,
// arXiv:2312.08935, eq. 4, soft estimation). The head's number is a logit, which a calibration ([Calibration]) fitted to states that
// were held out makes a probability.
package valuemodel
