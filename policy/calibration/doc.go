// Package calibration measures how far probabilities that were said agree with what came true: the value head's word on a state against
// how often the policy is right from there.
package calibration
