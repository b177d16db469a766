package rewardmodel

import "github.com/hone-rl/hone/policy/logistic"

// judged is what the objective says of a pair.
type judged struct {
	// loss is that of the preference, center the second term before its weight.
	loss, center float64
	// dChosen and dRejected are the derivatives of the whole loss in the two scores.
	dChosen, dRejected float64
}

// judge is the loss of a pair whose sides score r_w and r_l:
//
//	L = -log sigmoid(r_w - r_l) + c * (r_w + r_l)^2
//
// Ouyang et al. 2022, arXiv:2203.02155, eq. 1, for one comparison; the second term is Eisenstein et al. 2023, arXiv:2312.09244, eq. 2.
func judge(chosen, rejected, centerCoef float64) judged {
	m, sum := chosen-rejected, chosen+rejected
	slope := -logistic.Sigmoid(-m)
	return judged{
		loss: logistic.Softplus(-m), center: sum * sum,
		dChosen: slope + 2*centerCoef*sum, dRejected: -slope + 2*centerCoef*sum,
	}
}
