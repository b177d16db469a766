"""The forms of the PPO loss from their papers, in PyTorch, against the numbers that hone computed.

    bench/formulas.py [policy/ppo/testdata/formulas.json]

The file holds, for each form, a made-up batch, the loss and its derivatives in every log-probability, entropy and value. Here the loss is
written from the published formulas, sequence by sequence, and PyTorch differentiates it. Both must agree to 1e-5; the worst is printed.
"""

import json
import sys

import torch

TOLERANCE = 1e-5
SAMPLE, IMITATION = 1, 2


def bounded(ratio, advantage, c):
    """Schulman et al. 2017, eq. 7, with unequal bounds and Ye et al. 2020's bound on what is worse than expected."""
    loss = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - c["clip_low"], 1 + c["clip_high"]))
    if c["dual_clip"] > 0:
        loss = torch.where(advantage < 0, torch.minimum(loss, -advantage * c["dual_clip"]), loss)
    return loss


def policy_loss(logp, old, advantage, c):
    log_ratio = logp - old
    if c["loss"] == "cispo":  # Chen et al. 2025, eq. 4: the weight is held, the log-probability is learned
        weight = log_ratio.exp().clamp(1 - c["clip_low"], 1 + c["clip_high"]).detach()
        return -weight * advantage * logp
    if c["loss"] == "gspo":  # Zheng et al. 2025, eq. 5 and 7
        one = bounded(log_ratio.mean().exp(), advantage.mean(), c)
        return one.expand(len(logp))
    return bounded(log_ratio.exp(), advantage, c)


def divergence(logp, ref, c):
    """Schulman 2020, "Approximating KL Divergence"; straight through is the value of one and the gradient of k2."""
    d = logp - ref
    k1, k2, k3 = d, d**2 / 2, torch.expm1(-d) + d
    straight = k2 - k2.detach()
    return {
        "reward": torch.zeros_like(d),
        "loss_k2": k2,
        "loss_k3": k3,
        "loss_k1_straight": k1.detach() + straight,
        "loss_k3_straight": k3.detach() + straight,
    }[c["kl_penalty"]]


def value_loss(value, old, target, c):
    free = (value - target) ** 2
    if c["value_clip"] == 0:
        return free / 2
    near = old + (value - old).clamp(-c["value_clip"], c["value_clip"])
    return torch.maximum(free, (near - target) ** 2) / 2


def whole_loss(f, logp, entropy, value):
    c = f["config"]
    column = lambda name: torch.tensor(f[name], dtype=torch.float64)
    kind, sequence = torch.tensor(f["kind"]), torch.tensor(f["sequence"])
    importance = column("importance") if f["importance"] else torch.ones_like(logp)
    old, ref, advantages = column("logp_old"), column("logp_ref"), column("advantages")
    returns, values_old = column("returns"), column("values_old")
    per_sequence, everything = [], []
    for number in sequence.unique():
        at = (sequence == number) & (kind == SAMPLE)
        terms = (
            importance[at] * policy_loss(logp[at], old[at], advantages[at], c)
            + c["value_coef"] * value_loss(value[at], values_old[at], returns[at], c)
            - c["entropy_coef"] * entropy[at]
            + c["kl_coef"] * divergence(logp[at], ref[at], c)
        )
        per_sequence.append(terms)
        everything.append(terms)
    if c["aggregation"] == "seq_mean_token_mean":
        loss = torch.stack([t.mean() for t in per_sequence]).mean()
    elif c["aggregation"] == "seq_mean_token_sum":
        loss = torch.stack([t.sum() / max(c["sequence_tokens"], 1) for t in per_sequence]).mean()
    else:
        loss = torch.cat(everything).mean()
    return loss - c["imitation_coef"] * logp[kind == IMITATION].mean()


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "policy/ppo/testdata/formulas.json"
    with open(path) as file:
        forms = json.load(file)
    worst = 0.0
    for f in forms:
        leaves = [torch.tensor(f[name], dtype=torch.float64, requires_grad=True) for name in ("logp", "entropy", "value")]
        loss = whole_loss(f, *leaves)
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        error = abs(loss.item() - f["loss"])
        for gradient, name in zip(gradients, ("d_logp", "d_entropy", "d_value")):
            want = torch.tensor(f[name], dtype=torch.float64)
            gradient = torch.zeros_like(want) if gradient is None else gradient
            error = max(error, (gradient - want).abs().max().item())
        print(f"{f['name']:24s} loss {loss.item():+.6f}  largest difference {error:.1e}")
        worst = max(worst, error)
    print(f"{len(forms)} forms, largest difference {worst:.1e}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
